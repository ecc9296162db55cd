"""What a submission's commands and logs say of its settings."""

from mulligan.review.flow.settings import settings_of


def test_a_variable_of_every_command_is_known_and_one_of_some_is_not(tmp_path):
    (tmp_path / "README.md").write_text(
        "```bash\nSEED=1 ADAPT=1 \\\n  torchrun train_gpt.py\nSEED=1 torchrun train_gpt.py\n```\n`ELSEWHERE=3` was tried.\n"
    )
    assert settings_of(tmp_path) == {"SEED": "1", "ADAPT": None}


def test_what_a_shell_script_exports_holds_for_its_commands(tmp_path):
    (tmp_path / "run.sh").write_text(
        "export ADAPT=${ADAPT:-2}\npython3 prepare_data.py --x\nDATA=$HOME torchrun train_gpt.py\n"
    )
    assert settings_of(tmp_path) == {"ADAPT": "2"}


def test_without_a_command_every_mention_counts(tmp_path):
    (tmp_path / "README.md").write_text("Run it with `ADAPT=1`, or with ADAPT=0 and `RATE='0.1'`.\n")
    assert settings_of(tmp_path) == {"ADAPT": None, "RATE": "0.1"}


def test_what_logs_print_goes_before_what_commands_say(tmp_path):
    (tmp_path / "README.md").write_text("ADAPT=0 torchrun train_gpt.py\n")
    (tmp_path / "train_seed1.log").write_text("  adapt: True\n  rate: 0.5\nadapt: started\n")
    (tmp_path / "train_seed2.log").write_text("  adapt: True\n  rate: 0.4\n")
    assert settings_of(tmp_path) == {"ADAPT": "1"}
