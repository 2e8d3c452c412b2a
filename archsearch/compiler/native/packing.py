"""Where packed matrices lie in the arena.

Those of products inside the time loop lie beside each other for as long as it runs. Any other is packed right before it
is read, while the loop's are not there yet or not needed any more, so that all take turns in the same memory: the less
of it, the more stays in the caches.
"""

from archsearch.compiler.blocks import Plan, Products
from archsearch.graph.structure import INPUT

PACKED = "packed"

# Neighbours must not begin at the same place of a memory page; see source.py.
_STAGGER = "5 * LANES"


class Packing:
    """The part of the arena for packed matrices.

    Args:
        plan: Of the forward pass; the backward pass multiplies with the same matrices.
    """

    def __init__(self, plan: Plan) -> None:
        self._offsets: dict[int, str] = {}
        sizes = []
        end = "0"
        for block in plan.products:
            size = f"{len(block.members)} * (padded * ROUND_UP({width_of(block)}, LANES))"
            if block in plan.step:
                self._offsets[block.number] = end
                end += f" + {size} + {_STAGGER}"
            else:
                sizes.append(size)
        if plan.projects is not None:
            sizes.append("padded * ROUND_UP(I, LANES)")
        self.size = end
        for size in sizes:
            self.size = f"LARGER({self.size}, {size})"

    def lasts(self, block: Products) -> bool:
        """Tells whether a product's matrices stay packed while time passes."""
        return block.number in self._offsets

    def place(self, block: Products, part: int = 0) -> str:
        """Returns C for where the matrices of a product are packed, or one of them if each is packed for itself."""
        offsets = [self._offsets.get(block.number, "0"), f"{part} * {width_of(block)} * padded" if part else "0"]
        return " + ".join([PACKED, *(offset for offset in offsets if offset != "0")])


def width_of(block: Products) -> str:
    """Returns C for the number of columns of a product's matrices."""
    return "I" if block.operand == INPUT else "H"
