"""Cells of about as many nodes as a cell may have: `from shared_huge_cells import HUGE`."""


def chain(line: str, length: int) -> str:
    lines = (line.format(number, number + 1) for number in range(length))
    return "\n".join(["a0 = linear(x, h)", *lines, f"h' = a{length}"])


def alike_matrices(count: int) -> str:
    lines = (f"a{number} = a{number - 1} + linear(h)" for number in range(2, count + 1))
    return "\n".join(["a1 = linear(h)", *lines, f"h' = a{count}"])


def sums_of_longer_and_longer_products(count: int) -> str:
    lines = [f"t{i} = linear(h)" for i in range(count)] + ["p1 = t0 * t1", "s1 = t0 + p1"]
    for i in range(2, count):
        lines += [f"p{i} = p{i - 1} * t{i}", f"s{i} = s{i - 1} + p{i}"]
    lines += ["q1 = tanh(s1)", *(f"q{i} = q{i - 1} + tanh(s{i})" for i in range(2, count))]
    return "\n".join([*lines, f"h' = q{count - 1}"])


def products_of_sums(count: int) -> str:
    """Each product of two sums has 256 terms, and all of them are added up."""
    lines = [f"t{i} = linear(h)" for i in range(count + 15)]
    lines += [f"u{j} = " + " + ".join(f"t{j + i}" for i in range(16)) for j in range(count)]
    products = [f"u{j} * u{k}" for j in range(count) for k in range(j)]
    lines += [f"p0 = {products[0]}", *(f"p{n} = p{n - 1} + {product}" for n, product in enumerate(products) if n)]
    return "\n".join([*lines, f"h' = p{len(products) - 1}"])


HUGE = {
    "doubling products": chain("a{1} = tanh(a{0}) * a{0} + a{0}", 660),
    "doubling products with matrices": chain("a{1} = tanh(a{0}) * a{0} + a{0} * linear(h)", 390),
    "squares": chain("a{1} = a{0} * a{0}", 1990),
    "doubles": chain("a{1} = a{0} + a{0}", 1990),
    "nothing to tell matrices by": alike_matrices(1000),
    "long products": sums_of_longer_and_longer_products(390),
    "products of sums": products_of_sums(30),
    "pairs of twins": chain("a{1} = tanh(a{0} + tanh(linear(h)) * tanh(linear(h)))", 280),
}
