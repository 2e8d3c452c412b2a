"""Lineages: from a founder, by one mutation at a time, with what each brought."""

from itertools import pairwise

from archsearch.graph.cell_graph import CellGraph
from archsearch.report.lineage import Ancestry


def test_a_lineage_leads_from_a_founder_to_the_cell_by_recorded_parents(run):
    ancestry = Ancestry(run)
    depths = []
    for cell in run.leaderboard()["cell"]:
        lineage = ancestry.lineage(cell)
        assert lineage[-1].cell == cell
        assert lineage[0].cell in run.knowledge.founders
        assert lineage[0].changes == lineage[0].transformations == ()
        for parent, child in pairwise(lineage):
            record = run.knowledge.cells[child.cell]
            assert record.parent == parent.cell
            assert child.transformations == record.transformations != ()
            assert child.changes
        depths.append(len(lineage))
    assert max(depths) > 3


def test_the_effect_is_the_ratio_less_the_parents(run):
    ancestry, ratios = Ancestry(run), run.knowledge.ratios
    cells = run.knowledge.cells
    for cell in run.leaderboard()["cell"].tail(5):
        for parent, child in pairwise(ancestry.lineage(cell)):
            for task, effect in child.effects.items():
                before, after = (ratios(cells[one.cell])[task] for one in (parent, child))
                assert effect.ratio == after
                assert effect.change == after - before


def test_the_changes_turn_the_parents_equations_into_the_cells(run):
    ancestry = Ancestry(run)
    for cell in run.leaderboard()["cell"]:
        if difference := ancestry.difference(cell):
            before = {*difference.before.equations().splitlines()}
            changes = ancestry.lineage(cell)[-1].changes
            gone = {line for sign, line in changes if sign == "-"}
            come = {line for sign, line in changes if sign == "+"}
            assert gone <= before
            after = difference.after.equations()
            assert {*after.splitlines()} == (before - gone) | come
            assert CellGraph.from_equations(after).digest == cell
