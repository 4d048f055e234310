"""The reference's PPO for `blind_rl` as an rsl_rl configuration, to train the task with rsl_rl for comparison."""

from dataclasses import field

from isaaclab.utils import configclass
from isaaclab_rl.rsl_rl import RslRlMLPModelCfg, RslRlOnPolicyRunnerCfg, RslRlPpoAlgorithmCfg


@configclass
class BlindPpoRunnerCfg(RslRlOnPolicyRunnerCfg):
    """PPO on privileged observations: actor and critic see everything, without noise."""

    num_steps_per_env = 24
    max_iterations = 50_000
    save_interval = 100
    experiment_name = "blind_rl"
    obs_groups: dict[str, list[str]] = field(default_factory=lambda: {"actor": ["teacher"], "critic": ["critic"]})
    actor = RslRlMLPModelCfg(
        hidden_dims=[512, 256, 128],
        activation="elu",
        obs_normalization=False,
        distribution_cfg=RslRlMLPModelCfg.GaussianDistributionCfg(init_std=1.0, std_type="log"),
    )
    critic = RslRlMLPModelCfg(hidden_dims=[512, 256, 128], activation="elu", obs_normalization=False)
    algorithm = RslRlPpoAlgorithmCfg(
        value_loss_coef=1.0,
        use_clipped_value_loss=True,
        clip_param=0.2,
        entropy_coef=0.01,
        num_learning_epochs=5,
        num_mini_batches=4,
        learning_rate=1.0e-3,
        schedule="adaptive",
        gamma=0.99,
        lam=0.95,
        desired_kl=0.01,
        max_grad_norm=1.0,
    )
