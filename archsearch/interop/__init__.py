"""Cells of other works, read into `CellGraph`: the recipes of NAS-Bench-NLP, DARTS genotypes and ENAS arcs."""

from archsearch.interop.darts import darts_weights, from_darts
from archsearch.interop.enas import enas_weights, from_enas
from archsearch.interop.nas_bench_nlp import from_nas_bench_nlp, nas_bench_nlp_weights

__all__ = [
    "darts_weights",
    "enas_weights",
    "from_darts",
    "from_enas",
    "from_nas_bench_nlp",
    "nas_bench_nlp_weights",
]
