"""What options of commands can be, for help texts that load no part; the tables of the parts have these names."""

from __future__ import annotations

#: Challenges whose scoring is followed (``mmreg.evaluation.challenge``).
CHALLENGES = ('learn2reg', 'lumir', 'lumir25')
#: What a submission can be packed for (``mmreg.evaluation.challenge.profiles``).
PACKAGES = ('lumir', 'lumir25', 'learn2reg', 'oasis2021')
#: Paired tests of a comparison (``mmreg.evaluation.analysis.statistics``).
PAIRED_TESTS = ('wilcoxon', 't')
#: Misalignments of a stress test (``mmreg.evaluation.stress.harness``).
STRESS_KINDS = ('translation', 'svf')
#: What of a random velocity field has the size that is asked for (``mmreg.evaluation.stress.deformations``).
SIZE_STATISTICS = ('mean', 'p95', 'max')
#: How the images of a group are averaged (``mmreg.populations.averages``).
AVERAGES = ('mean', 'median')
