from dataclasses import dataclass, field

import pytest

from rlmpc.config.overrides import override_object, value_at
from rlmpc.errors import UserError


@dataclass
class Scene:
    num_envs: int = 4
    spacing: float = 2.5
    is_flat: bool = False


@dataclass
class EnvCfg:
    scene: Scene = field(default_factory=Scene)
    speed_range: tuple[float, float] = (-1.0, 1.0)
    scale: dict[str, float] = field(default_factory=lambda: {"hip": 0.5, "knee": 0.3})
    push: Scene | None = field(default_factory=Scene)
    anything: float | None = None
    max_level: "int | None" = 3
    name: str = "g1"
    joint_names: list[str] = field(default_factory=lambda: ["hip", "knee"])
    prim_paths: list[str] = field(default_factory=list)
    prim_path: str | None = None
    is_pinned: "bool | None" = None
    height: float = 1
    box_range: tuple[float, float] = (0, 1)
    params: dict[str, tuple] = field(default_factory=lambda: {"x": (0, 0.5), "n": (1, 2)})
    func: object = len


def test_nested_dotted_and_dictionary_paths_are_set_with_their_type():
    cfg = EnvCfg()
    override_object(
        cfg, {"scene": {"num_envs": 8}, "scene.spacing": 3, "speed_range": [0, 2], "scale.hip": 1, "push": None}, "env"
    )
    assert (cfg.scene.num_envs, cfg.scene.spacing, cfg.speed_range, cfg.push) == (8, 3.0, (0.0, 2.0), None)
    assert [type(end) for end in cfg.speed_range] == [float, float]
    assert cfg.scale == {"hip": 1.0, "knee": 0.3}


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        *(("scene.num_envs", "010", 10), ("scene.num_envs", "1e2", 100), ("scene.spacing", "-.5", -0.5)),
        *(("scene.spacing", ".inf", float("inf")), ("scene.is_flat", "Yes", True)),
        *(("speed_range", "[-.5,1]", (-0.5, 1.0)), ("box_range", "[-.5,.5]", (-0.5, 0.5)), ("height", ".5", 0.5)),
        *(("params.x", "[0.2, 1]", (0.2, 1.0)), ("params.n", "[3,4]", (3, 4)), ("scale.hip", "1e-1", 0.1)),
        *(("name", "010", "010"), ("name", "[/x]", "[/x]"), ("name", "${x}", "${x}"), ("name", "{NS}/a", "{NS}/a")),
        *(("joint_names", "[1e5, a]", ["1e5", "a"]), ("prim_paths", "[/a, '{NS}/b']", ["/a", "{NS}/b"])),
        *(("prim_path", "010", "010"), ("is_pinned", "no", False), ("anything", ".5", 0.5), ("max_level", "07", 7)),
        *(("name", 3, "3"), ("name", True, "true"), ("func", "m:f", "m:f"), ("prim_path", 1e5, "100000.0")),
    ],
)
def test_text_is_read_as_the_type_of_the_field(path: str, text, value):
    cfg = EnvCfg()
    (found,) = override_object(cfg, {path: text}, "env").values()
    assert (found, type(found)) == (value, type(value))
    assert value_at(cfg, path, "env") == value


def test_what_was_set_is_returned_by_path():
    given = override_object(EnvCfg(), {"scene": {"spacing": 3}, "speed_range": [0, 2]}, "env")
    assert given == {"scene.spacing": 3.0, "speed_range": (0.0, 2.0)}


def test_lists_of_names_take_any_length():
    cfg = EnvCfg()
    override_object(cfg, {"joint_names": ["ankle"], "prim_paths": ["/World/ground", "/World/box"]}, "env")
    assert (cfg.joint_names, cfg.prim_paths) == (["ankle"], ["/World/ground", "/World/box"])


@pytest.mark.parametrize("path", ["push", "scene", "scale", "scale.hip", "anything", "max_level"])
def test_null_is_taken_by_sections_entries_of_dictionaries_and_fields_that_may_be_none(path: str):
    cfg = EnvCfg()
    override_object(cfg, {path: None}, "env")
    assert value_at(cfg, path, "env") is None


def test_null_is_taken_by_fields_whose_annotation_is_no_string():
    @dataclass
    class Evaluated:
        level: int = 3

    Evaluated.__annotations__["level"] = int | None
    cfg = Evaluated()
    override_object(cfg, {"level": None}, "env")
    assert cfg.level is None
    Evaluated.__annotations__["level"] = int
    with pytest.raises(UserError, match="takes an int like 3, not null"):
        override_object(Evaluated(), {"level": None}, "env")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"scene.num_env": 8}, "unknown key 'env.scene.num_env'; did you mean 'env.scene.num_envs'?"),
        ({f"scene.{'x' * 80}": 8}, f"unknown key 'env.scene.{'x' * 80}'"),
        ({"scenes.num_envs": 8}, "unknown key 'env.scenes'; did you mean 'env.scene'?"),
        ({"scale.hips": 1.0}, "unknown key 'env.scale.hips'; did you mean 'env.scale.hip'?"),
        ({"scene.num_envs": 1.5}, "'env.scene.num_envs' takes an int like 4, not 1.5"),
        ({"scene.num_envs": True}, "'env.scene.num_envs' takes an int like 4, not True"),
        ({"scene.is_flat": 1}, "'env.scene.is_flat' takes a bool like False, not 1"),
        ({"scene.spacing": "far"}, "'env.scene.spacing' takes a float like 2.5, not 'far'"),
        ({"scene": 3}, "'env.scene' takes a section"),
        ({"scene.num_envs": None}, "'env.scene.num_envs' takes an int like 4, not null"),
        ({"name": None}, "'env.name' takes a str like 'g1', not null"),
        ({"speed_range": None}, "'env.speed_range' takes 2 numbers like [-1.0, 1.0], not null"),
        ({"speed_range": [1]}, "'env.speed_range' takes 2 numbers like [-1.0, 1.0], not [1]"),
        ({"speed_range": ["a", "b"]}, "'env.speed_range' takes 2 numbers like [-1.0, 1.0], not ['a', 'b']"),
        ({"speed_range": [0, None]}, "'env.speed_range' takes 2 numbers like [-1.0, 1.0], not [0, None]"),
        ({"speed_range": [0, True]}, "'env.speed_range' takes 2 numbers like [-1.0, 1.0], not [0, True]"),
        ({"speed_range": 1}, "'env.speed_range' takes 2 numbers like [-1.0, 1.0], not 1"),
        ({"joint_names": "hip"}, "'env.joint_names' takes a list like ['hip', 'knee'], not 'hip'"),
        ({"joint_names": [1]}, "'env.joint_names' takes a list like ['hip', 'knee'], not [1]"),
        ({"speed_range": "[1,two]"}, "'env.speed_range' takes 2 numbers like [-1.0, 1.0], not ['1', 'two']"),
        ({"scene.num_envs": "0x10"}, "'env.scene.num_envs' takes an int like 4, not '0x10'"),
        ({"scene.spacing": "nan"}, "'env.scene.spacing' takes a float like 2.5, not 'nan'"),
        ({"scene": "{spacing: [}"}, "'env.scene' takes a section"),
        ({"joint_names": "[" * 100_000}, "'env.joint_names' takes a list like ['hip', 'knee'], not"),
        ({"anything": "high"}, "'env.anything' takes a float like 0.0, not 'high'"),
        ({"name": ["a"]}, "'env.name' takes a str like 'g1', not ['a']"),
        ({"name.first": "x"}, "'env.name' has no fields"),
        ({"speed_range.0": 2.0}, "give the whole list"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(overrides, sentence):
    cfg = EnvCfg()
    with pytest.raises(UserError) as caught:
        override_object(cfg, overrides, "env")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
