"""Runs without a name get one that all their processes agree on."""

import re

import pytest
from sequnet_pl.cli.run_name import job_name, new_name

from sequnet_pl.errors import UsageError

JOB = {"SLURM_PROCID": "3", "SLURM_JOB_ID": "12", "SLURM_JOB_NAME": "train"}


def test_jobs_have_the_same_name_in_all_tasks_and_when_queued_again():
    assert job_name(JOB) == job_name(JOB | {"SLURM_PROCID": "0", "SLURM_RESTART_COUNT": "2"}) == "job-12"
    assert job_name(JOB | {"SLURM_ARRAY_JOB_ID": "10", "SLURM_ARRAY_TASK_ID": "2"}) == "job-10_2"


def test_a_shell_on_a_cluster_is_no_job():
    assert job_name(JOB | {"SLURM_JOB_NAME": "bash"}) is None
    assert job_name({}) is None


def test_elsewhere_it_is_date_and_time():
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", new_name())


def test_several_nodes_need_a_name():
    with pytest.raises(UsageError, match="--name"):
        new_name(nodes=2)
