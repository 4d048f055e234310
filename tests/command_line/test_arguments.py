import pytest

from rlmpc.command_line.arguments import read_arguments, split_override
from rlmpc.config.play import PlayCfg
from rlmpc.errors import UserError


def test_a_value_may_hold_equals_signs():
    assert split_override("ckpt=runs/epoch=10.ckpt") == ("ckpt", "runs/epoch=10.ckpt")
    assert read_arguments(["ckpt=a=[b", "seed=010"], [PlayCfg()], "ckpt") == {"ckpt": "a=[b", "seed": 10}


@pytest.mark.parametrize("argument", ["seed", "=3", "--seed 3"])
def test_an_argument_without_key_and_value_is_refused(argument: str):
    with pytest.raises(UserError, match="key=value"):
        split_override(argument)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ckpt=x"], "'--ckpt=x' is not an override; write ckpt=x"),
        (["--ckpt", "x"], "'--ckpt' is not an override; write ckpt=x"),
        (["-ckpt", "x"], "'-ckpt' is not an override; write ckpt=x"),
        (["--ckpt x"], "'--ckpt x' is not an override; write ckpt=x"),
        (["--num-envs", "8"], "'--num-envs' is not an override; write num_envs=8"),
        (["--ckpt", "run/epoch=1.ckpt"], "'--ckpt' is not an override; write ckpt=run/epoch=1.ckpt"),
        (["--video", "run.dir=x"], "'--video' is not an override; write video=VALUE"),
        (["--video", "--ckpt=x"], "'--video' is not an override; write video=VALUE"),
        (["--ckpt=a\nb"], "'--ckpt=a\\nb' is not an override; write ckpt=VALUE"),
        (["--checkpoint=x"], "unknown key 'checkpoint'; did you mean 'ckpt'?"),
        (["checkpoint=x"], "unknown key 'checkpoint'; did you mean 'ckpt'?"),
        (["ckpt"], "'ckpt' is not an override; write ckpt=VALUE"),
        (["toy"], "'toy' is not an override; write task=toy"),
        (["run/epoch=1"], "unknown key 'run/epoch'"),
        (["run"], "'run' is not an override; write ckpt=run"),
        (["nothing"], "'nothing' is not an override; write key=value, for example seed=3"),
        (["--"], "'--' is not an override; write key=value, for example seed=3"),
        ([""], "'' is not an override; write key=value, for example seed=3"),
        (["~nobody-here"], "'~nobody-here' is not an override; write key=value"),
        (["seed=1", "seed=2"], "'seed' is given twice"),
        (["ckpt=a\0"], "'ckpt=a\\x00' holds characters that are no text"),
        (["ckpt=\udcff"], "'ckpt=\\udcff' holds characters that are no text"),
    ],
)
def test_an_argument_that_is_no_override_says_what_to_write(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError) as caught:
        read_arguments(arguments, [PlayCfg()], "ckpt")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
