"""Where packed matrices lie in the arena.

Those of products inside the time loop lie beside each other for as long as it runs. Any other is packed right before it
is read, while the loop's are not there yet or not needed any more, so that all take turns in the same memory: the less
of it, the more stays in the caches.
"""

from archsearch.compiler.blocks import Plan, Products
from archsearch.compiler.native.text import STAGGER
from archsearch.graph.structure import INPUT

PACKED = "packed"


class Packing:
    """The part of the arena for packed matrices.

    Args:
        plan: Of the forward pass; the backward pass multiplies with the same matrices.
    """

    def __init__(self, plan: Plan) -> None:
        self._offsets: dict[int, str] = {}
        end = "0"
        most: dict[str, int] = {} if plan.projects is None else {"I": 1}  # matrices of any other product, by width
        for block in plan.products:
            width, count = width_of(block), len(block.members)
            if block in plan.step:
                self._offsets[block.number] = end
                end += f" + {_size(count, width)} + {STAGGER}"
            else:
                most[width] = max(most.get(width, 0), count)
        self.size = end
        for width, count in most.items():  # few: the macro writes its arguments twice
            self.size = f"LARGER({self.size}, {_size(count, width)})"

    def lasts(self, block: Products) -> bool:
        """Tells whether a product's matrices stay packed while time passes."""
        return block.number in self._offsets

    def place(self, block: Products, part: int = 0) -> str:
        """Returns C for where the matrices of a product are packed, or one of them if each is packed for itself."""
        offsets = [self._offsets.get(block.number, "0"), f"{part} * {width_of(block)} * padded" if part else "0"]
        return " + ".join([PACKED, *(offset for offset in offsets if offset != "0")])


def _size(count: int, width: str) -> str:
    return f"{count} * (padded * ROUND_UP({width}, LANES))"


def width_of(block: Products) -> str:
    """Returns C for the number of columns of a product's matrices."""
    return "I" if block.operand == INPUT else "H"
