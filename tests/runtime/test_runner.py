"""The local runner: order, binding, reuse, failures, interruption."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlops_runtime
import pytest
from mlops_runtime import cli, pipeline, runner
from mlops_runtime.errors import Problem, Refusal

from . import toy


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "a project with spaces é"
    toy.write(root)
    monkeypatch.chdir(root)
    return root


def run(root: Path, **values: str) -> dict[str, runner.Done]:
    job = pipeline.load(root / "mlops/azureml/train/pipeline.yml", dict(values))
    return runner.run(job, root, say=lambda line: None)


def test_steps_run_in_the_order_of_their_needs(project: Path) -> None:
    done = run(project)
    assert list(done) == ["first", "second"]
    assert done["first"].output("lines").joinpath("out.txt").read_text() == "text|hi|false|None"
    assert done["second"].output("count").read_text() == str(len("text|hi|false|None"))


def test_values_are_never_split_or_interpreted(project: Path) -> None:
    word = 'two words; $(touch x) "quoted" ${{inputs.text}}'
    assert run(project, word=word)["first"].output("lines").joinpath("out.txt").read_text().split("|")[1] == word


def test_unchanged_steps_are_reused(project: Path) -> None:
    run(project)
    assert all(done.reused for done in run(project).values())


@pytest.mark.parametrize(
    "file", ["src/steps/second.py", "data/text.txt", "mlops/azureml/train/first.yml"], ids=["code", "input", "command"]
)
def test_a_change_runs_what_depends_on_it(project: Path, file: str) -> None:
    run(project)
    path = project / file
    path.write_text(path.read_text().replace("--loud ${{inputs.loud}}", "--loud=${{inputs.loud}}") + " ")
    done = run(project)
    assert not done["first"].reused
    assert not done["second"].reused


def test_a_value_that_was_used_before_is_found_again(project: Path) -> None:
    run(project, word="one")
    run(project, word="two")
    assert all(done.reused for done in run(project, word="one").values())


def test_non_deterministic_steps_always_run(project: Path) -> None:
    second = project / "mlops/azureml/train/second.yml"
    second.write_text(second.read_text() + "is_deterministic: false\n")
    run(project)
    assert {name: done.reused for name, done in run(project).items()} == {"first": True, "second": False}


def test_old_results_are_forgotten(project: Path) -> None:
    for number in range(runner.KEPT + 2):
        run(project, word=f"word{number}")
    kept = [p for p in (project / ".mlops/steps/first").iterdir() if p.is_dir()]
    assert len(kept) == runner.KEPT


def test_a_failure_names_step_command_and_log(project: Path) -> None:
    with pytest.raises(Problem) as caught:
        run(project, word="crash")
    message = str(caught.value)
    assert "[1/2] first failed with exit code 1" in message
    assert "--word crash" in message
    assert "it went wrong here" in message
    log = message.split("Log: ")[1].splitlines()[0]
    assert "it went wrong here" in Path(log).read_text()
    assert not [p for p in (project / ".mlops/steps/first").iterdir() if p.is_dir()]


def test_a_problem_is_said_without_its_traceback(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(mlops_runtime.__file__).parents[1]))
    with pytest.raises(Problem) as caught:
        run(project, word="problem")
    assert str(caught.value).endswith(".log\nthe word is 'problem':\nwrite another")
    assert "Traceback" not in str(caught.value)


def test_a_refusal_is_not_a_failure(project: Path) -> None:
    with pytest.raises(Refusal, match="not good enough"):
        run(project, word="refuse")


def test_an_output_that_was_not_written_is_a_failure(project: Path) -> None:
    with pytest.raises(Problem, match="wrote no lines"):
        run(project, word="silent")


def test_the_command_line_binds_config_and_set(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run"]) == 0
    assert "counted" in capsys.readouterr().out
    text = next((project / ".mlops/steps/first").glob("*/outputs/lines/out.txt")).read_text()
    assert "|hello|" in text, "training: word in config/shared.yml replaces the pipeline's own value"
    assert cli.main(["run", "--set", "word=crash"]) == 2
    assert cli.main(["run", "--set", "word=refuse"]) == 1
    assert cli.main(["run", "--set", "nothing=1"]) == 2
    assert "its inputs are text, word" in capsys.readouterr().err


def test_two_runs_at_once(project: Path) -> None:
    hold = "import sys; from pathlib import Path; from mlops_runtime import runner\n"
    hold += "with runner._lock(Path('.mlops')): print('here', flush=True); sys.stdin.read()"
    environment = {**os.environ, "PYTHONPATH": str(Path(runner.__file__).parent.parent)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", hold], env=environment, **pipes) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(Problem, match="Another run"):
            run(project)
        other.kill()
    run(project)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_a_step_of_a_killed_run_counts_as_a_run(project: Path) -> None:
    step = project / "src/steps/first.py"
    code = step.read_text()
    step.write_text(code + "import time; print('sleeping', flush=True); time.sleep(2)\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(runner.__file__).parent.parent)}
    process = subprocess.Popen([sys.executable, "-m", "mlops_runtime.cli", "run"], env=environment)
    wait_for(project, "sleeping")
    process.kill()
    process.wait()
    with pytest.raises(Problem, match="a step of one that was killed"):
        run(project)
    step.write_text(code)
    for _ in range(100):
        try:
            done = run(project)
            break
        except Problem:
            time.sleep(0.1)
    assert not any(one.reused for one in done.values())
    assert not list((project / ".mlops/steps/first").glob(f"{runner.UNFINISHED}*"))


def test_what_a_killed_run_left_is_removed(project: Path) -> None:
    left = project / ".mlops/steps/first/running-abc"
    left.mkdir(parents=True)
    run(project)
    assert not left.exists()


def wait_for(project: Path, word: str) -> None:
    """Until the first step has said so."""
    for _ in range(200):
        logs = list((project / ".mlops/steps/first").glob("*.log"))
        if logs and word in logs[0].read_text():
            return
        time.sleep(0.1)
    pytest.fail(f"the first step never said {word}")


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
def test_an_interrupted_run_leaves_nothing_half_done(project: Path, how: str) -> None:
    step = project / "src/steps/first.py"
    code = step.read_text()
    step.write_text(code + "import time; print('sleeping', flush=True); time.sleep(60)\n")
    source = Path(runner.__file__).parent.parent
    process = subprocess.Popen(
        [sys.executable, "-m", "mlops_runtime.cli", "run"],
        env={**os.environ, "PYTHONPATH": str(source)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    wait_for(project, "sleeping")
    process.send_signal(getattr(signal, how))
    assert process.wait(10) == 2
    assert not [p for p in (project / ".mlops/steps/first").iterdir() if p.is_dir()]
    step.write_text(code)
    assert not any(done.reused for done in run(project).values())
