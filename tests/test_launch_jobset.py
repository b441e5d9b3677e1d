"""Kubernetes: the manifest against the published schemas, and what it says about a run."""

import os
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from kubeflow_trainer_api.models import jobset_v1alpha2_job_set

ROOT = Path(__file__).resolve().parent.parent
JobSet = jobset_v1alpha2_job_set.JobsetV1alpha2JobSet  # made from JobSet's own schema
NEEDED = {
    "--name": "digits",
    "--image": "registry/ebm_jax:1",
    "--config": "configs/digits_joint.py:quick",
    "--workdir": "/runs/digits",
    "--claim": "runs",
}
GPUS = ["--hosts=2", "--gpus=8"]
TPUS = ["--hosts=4", "--tpus=4", "--tpu_type=tpu-v5-lite-podslice", "--tpu_topology=4x4"]
KINDS = {
    "cpu": [],
    "gpu": ["--gpus=1"],
    "gpus": GPUS,
    "tpus": TPUS,
    "named": ["--namespace=ml", "--data=/runs/tfds"],
}


def run(*arguments, needed=NEEDED, **environment):
    return subprocess.run(
        [sys.executable, "launch/jobset.py", *(f"{k}={v}" for k, v in needed.items()), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def rendered(*arguments):
    result = run("--dry_run", *arguments)
    assert result.returncode == 0, result.stderr
    return yaml.safe_load(result.stdout)


def job_of(jobset):
    (replicated,) = jobset["spec"]["replicatedJobs"]
    return replicated["template"]


def container_of(jobset):
    (container,) = job_of(jobset)["spec"]["template"]["spec"]["containers"]
    return container


def environment_of(jobset):
    return {each["name"]: each.get("value") for each in container_of(jobset)["env"]}


def refused_by_a_schema(jobset):
    """Whether JobSet's or Kubernetes's schema refuses it, or does not know a part of it."""
    try:
        if JobSet.from_dict(jobset).to_dict() != jobset:
            return True
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, **job_of(jobset)}
        for strict in (True, False):
            kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=strict)
    except (ValueError, kubernetes_validate.ValidationError):
        return True
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_schemas(kind):
    assert not refused_by_a_schema(rendered(*KINDS[kind]))


def test_the_schemas_notice():
    for break_it in (
        lambda jobset: jobset["spec"]["failurePolicy"]["rules"][0].pop("action"),
        lambda jobset: jobset["spec"].update(failurepolicy={}),
        lambda jobset: jobset["spec"]["network"].update(enableDNSHostnames="yes"),
        lambda jobset: job_of(jobset)["spec"].update(completions="2"),
        lambda jobset: job_of(jobset)["spec"]["podFailurePolicy"]["rules"][0].pop("action"),
        lambda jobset: container_of(jobset).update(arguments=[]),
    ):
        jobset = rendered()
        break_it(jobset)
        assert refused_by_a_schema(jobset)


def test_processes_of_many_hosts_meet():
    for kind, hosts in ((GPUS, 2), (TPUS, 4)):
        jobset = rendered(*kind)
        job = job_of(jobset)["spec"]
        assert job["completions"] == job["parallelism"] == hosts
        assert (
            job["completionMode"] == "Indexed" and jobset["spec"]["network"]["enableDNSHostnames"]
        )
        variables = environment_of(jobset)
        name = f"{jobset['metadata']['name']}-{jobset['spec']['replicatedJobs'][0]['name']}-0-0"
        assert variables["JAX_COORDINATOR_ADDRESS"] == f"{name}.digits:8476"
        assert container_of(jobset)["ports"] == [{"containerPort": 8476, "protocol": "TCP"}]
        assert variables["JAX_NUM_PROCESSES"] == str(hosts)
        (number,) = [e for e in container_of(jobset)["env"] if e["name"] == "JAX_PROCESS_ID"]
        field = number["valueFrom"]["fieldRef"]["fieldPath"]
        assert field == "metadata.annotations['batch.kubernetes.io/job-completion-index']"


def test_one_host_meets_nobody():
    variables = environment_of(rendered("--gpus=1"))
    assert not {name for name in variables if name.startswith("JAX_") and "LOCAL" not in name}


def test_data_sets_are_on_the_volume():
    assert environment_of(rendered("--data=/runs/tfds"))["TFDS_DATA_DIR"] == "/runs/tfds"
    assert "TFDS_DATA_DIR" not in environment_of(rendered())


def test_accelerators():
    gpus, tpus = rendered(*GPUS), rendered(*TPUS)
    assert container_of(gpus)["resources"]["limits"] == {"nvidia.com/gpu": 8}
    assert environment_of(gpus)["JAX_LOCAL_DEVICE_IDS"] == "0,1,2,3,4,5,6,7"
    assert container_of(tpus)["resources"]["limits"] == {"google.com/tpu": 4}
    assert "JAX_LOCAL_DEVICE_IDS" not in environment_of(tpus)
    assert job_of(tpus)["spec"]["template"]["spec"]["nodeSelector"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": "4x4",
    }


def starts_again(jobset, code=None, condition=None):
    """As the Job's and then the JobSet's controller decide, by their documentation."""
    job, reason = job_of(jobset)["spec"], "BackoffLimitExceeded"
    assert job["backoffLimit"] == 0 and job["template"]["spec"]["restartPolicy"] == "Never"
    for rule in job["podFailurePolicy"]["rules"]:
        codes = rule.get("onExitCodes", {"values": []})
        conditions = [each["type"] for each in rule.get("onPodConditions", [])]
        if code in codes["values"] or condition in conditions:
            assert rule["action"] == "FailJob"
            reason = "PodFailurePolicy"
            break
    for rule in jobset["spec"]["failurePolicy"]["rules"]:
        if reason in rule.get("onJobFailureReasons", [reason]):
            return rule["action"] == "RestartJobSetAndIgnoreMaxRestarts"
    return None


def test_starts_again_exactly_when_preempted():
    jobset = rendered(*GPUS)
    assert starts_again(jobset, code=75) is True
    assert starts_again(jobset, condition="DisruptionTarget") is True
    for code in (1, 2, 3, 4, 137):
        assert starts_again(jobset, code=code) is False
    (rule, _) = job_of(jobset)["spec"]["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["containerName"] == container_of(jobset)["name"]


def test_flags_arrive_as_they_are():
    flags = ["--config.eval.tasks=('fid', \"a\")", "--config.seed=1", "--config.note=é: {{ x }} #"]
    args = container_of(rendered("--", *flags))["args"]
    assert args == ["--config=configs/digits_joint.py:quick", "--workdir=/runs/digits", *flags]


@pytest.mark.parametrize(
    "changed, said",
    [
        *(({name: ""}, f"{name} is missing; give ") for name in NEEDED),
        ({"--name": "Digits"}, "--name is 'Digits'; use at most 42 lower-case letters"),
        ({"--name": "a" * 43}, "use at most 42"),
        ({"--config": "configs/no.py"}, "the config 'configs/no.py' is not a file"),
        ({"--workdir": "runs/digits"}, "'runs/digits', which is not below the volume's --mount"),
        (
            {"--data": "/tfds"},
            "--data is '/tfds', which is not below the volume's",
        ),
        ({"--hosts": "0"}, "--hosts is 0; use 1 or more."),
        ({"--hosts": "two"}, "argument --hosts: invalid int value: 'two'"),
        ({"--gpus": "1", "--tpus": "1"}, "--gpus is 1 and --tpus is 1; use one of them."),
        ({"--tpus": "4"}, "--tpu_type '' and --tpu_topology ''; give all three"),
        ({"--colour": "red"}, "unrecognized arguments: --colour=red"),
    ],
)
def test_bad_usage_is_a_sentence(changed, said):
    result = run("--dry_run", needed={**NEEDED, **changed})
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert said in result.stderr


def test_kubectl_gets_what_the_dry_run_prints(tmp_path):
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        f'#!/bin/sh\necho "$*" >{tmp_path}/command\ncat >{tmp_path}/manifest\nexit 3\n'
    )
    kubectl.chmod(0o755)
    assert run(*GPUS, PATH=f"{tmp_path}:{os.environ['PATH']}").returncode == 3
    assert (tmp_path / "command").read_text() == "create -f -\n"
    assert (tmp_path / "manifest").read_text() == run("--dry_run", *GPUS).stdout


def test_without_kubectl(tmp_path):
    result = run(PATH=str(tmp_path))
    assert result.returncode == 2 and "error: kubectl is not installed" in result.stderr
