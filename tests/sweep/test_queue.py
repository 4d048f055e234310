from __future__ import annotations

from optuna.trial import TrialState


def test_each_trial_goes_to_one_worker_and_none_is_left_after_the_last(opened):
    workers = [opened()[1], opened()[1]]
    claimed = [worker.next() for worker in [*workers, *workers]]
    assert [one.trial.number for one in claimed] == [0, 1, 2, 3]
    assert [worker.next() for worker in workers] == [None, None]


def test_a_trial_whose_worker_has_ended_is_handed_out_again_with_the_same_settings(opened):
    first = opened()[1].next()
    first.trial.report(0.5, step=7)
    second = opened()[1].next()
    # What the kernel does with the file of a process that is killed.
    first.claim.close()
    again = opened()[1].next()
    assert (again.trial.number, again.settings) == (first.trial.number, first.settings)
    assert (first.reported, again.reported, second.trial.number) == (-1, 7, 1)


def test_a_finished_trial_is_not_handed_out_again(opened):
    study, queue = opened()
    queue.finish(queue.next(), TrialState.COMPLETE, 2.0)
    queue.finish(queue.next(), TrialState.FAIL)
    assert queue.next().trial.number == 2
    assert [(trial.state.name, trial.value) for trial in study.trials][:2] == [("COMPLETE", 2.0), ("FAIL", None)]


def test_settings_depend_on_the_seed_and_the_number_of_a_trial_alone(opened):
    queue, again, other = opened()[1], opened("again")[1], opened("other", seed=2)[1]
    claimed = [queue.next() for _ in range(3)]
    for number, value in ((2, 0.1), (0, 9.0), (1, 3.0)):
        queue.finish(claimed[number], TrialState.COMPLETE, value)
    claimed.append(queue.next())
    undisturbed = [again.next() for _ in range(4)]
    settings = [one.settings for one in claimed]
    assert [one.settings for one in undisturbed] == settings
    assert len({*map(tuple, settings)}) == 4
    assert other.next().settings != settings[0]


def test_tpe_repeats_itself_on_one_worker(opened):
    def drawn(name: str) -> list[list[str]]:
        _, queue = opened(name, sampler="tpe", trials=14)
        settings = []
        while (claimed := queue.next()) is not None:
            queue.finish(claimed, TrialState.COMPLETE, claimed.trial.params["agent.learning_rate"])
            settings.append(claimed.settings)
        return settings

    assert drawn("one") == drawn("another")
