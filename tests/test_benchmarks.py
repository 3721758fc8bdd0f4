"""What benchmarks are made of: pieces that go on, and the reading of compiled programs."""

import os
import subprocess
import sys

import pytest
from compiled_text import collectives, instructions
from pieces import Pieces
from tiny import ROOT

from panet_jax.compute.compiler_flags import TPU_FLAGS, set_tpu_flags
from panet_jax.disk.workdir import read_json_lines
from panet_jax.errors import InputError

# 2 x 8 x 128 elements of bfloat16 are 4096 bytes; S(1) is the fast memory.
PROGRAM = """HloModule step

%fused (p: bf16[2,8,128]) -> bf16[2,8,128] {
  %p = bf16[2,8,128]{2,1,0} parameter(0)
  ROOT %n = bf16[2,8,128]{2,1,0} negate(%p)
}

ENTRY %main (a: bf16[2,8,128]) -> (bf16[2,8,128], f32[4]) {
  %a = bf16[2,8,128]{2,1,0:T(8,128)(2,1)} parameter(0)
  %b = bf16[2,8,128]{2,1,0:T(8,128)(2,1)S(1)} fusion(%a), kind=kLoop, calls=%fused, backend_config={"estimated_cycles":"70"}
  %c = bf16[2,8,128]{2,1,0:T(8,128)(2,1)S(1)} copy(%b), backend_config={"estimated_cycles":"30"}
  %s = (bf16[2,8,128]{2,1,0:T(8,128)(2,1)}, bf16[2,8,128]{2,1,0:T(8,128)(2,1)S(1)}, u32[]{:T(128)}) copy-start(%c)
  %d = bf16[2,8,128]{2,1,0:T(8,128)(2,1)} copy-done(%s)
  %g = (bf16[2,8,128]{2,1,0}, /*index=1*/f32[4]{0}) all-reduce(%d, %d), to_apply=%sum
  %x = bf16[2,8,128]{2,1,0} get-tuple-element(%g), index=0
  ROOT %t = (bf16[2,8,128]{2,1,0}, f32[4]{0}) tuple(%x, %x)
}
"""


def test_a_compiled_program_says_what_it_moves_and_how_long_it_takes():
    steps = {step.operation: step for step in instructions(PROGRAM) if step.moved or step.cycles}
    # Read, kept in fast memory; copied there; written once; two operands read and the results written.
    assert {name: step.moved for name, step in steps.items()} == {
        'fusion': 4096,
        'copy': 0,
        'copy-start': 4096,
        'all-reduce': 3 * 4096 + 16,
    }
    assert sum(step.cycles for step in steps.values()) == 100
    assert collectives(PROGRAM) == 1


def test_pieces_are_measured_once_and_those_that_fail_again(tmp_path, capsys):
    path, measured = tmp_path / 'pieces.jsonl', []

    def measure():
        measured.append(1)
        if len(measured) == 2:
            raise RuntimeError('no memory')
        return {'seconds': 2.0}

    pieces = Pieces(path, {'device': 'a'})
    assert pieces.measure('one', measure) == {'seconds': 2.0}
    with pytest.raises(RuntimeError):
        pieces.measure('two', measure)
    again = Pieces(path, {'device': 'a'})
    assert again.measure('one', measure) == {'seconds': 2.0}
    assert list(again.kept) == ['one']
    again.measure('two', measure)
    assert len(measured) == 3
    assert [line['piece'] for line in read_json_lines(path)] == ['one', 'two']
    with pytest.raises(InputError, match=r"measurements of \{'device': 'a'\}, not of \{'device': 'b'\}; name another"):
        Pieces(path, {'device': 'b'})


def test_flags_for_tpus_are_added_and_those_of_the_user_stay():
    name, other = TPU_FLAGS
    environment = {'LIBTPU_INIT_ARGS': f'--{name}=true --xla_other=1'}
    set_tpu_flags(environment)
    assert environment['LIBTPU_INIT_ARGS'].split() == [f'--{name}=true', '--xla_other=1', f'--{other}=false']
    set_tpu_flags(environment)
    assert environment['LIBTPU_INIT_ARGS'].count(other) == 1
    set_tpu_flags(empty := {})
    assert empty['LIBTPU_INIT_ARGS'].split() == [f'--{flag}=false' for flag in TPU_FLAGS]


@pytest.mark.exhaustive
def test_the_benchmark_of_a_card_runs_in_small_and_goes_on(tmp_path):
    command = [sys.executable, 'benchmarks/accelerator.py', f'--out={tmp_path}/card.jsonl', '--no-pytorch']
    command += ['--size=33', '--width=0.03125', '--batches=1', '--dtypes=tf32', '--encoders=vgg16', '--repeats=1']
    environment = os.environ | {'PYTHONPATH': str(ROOT)}
    outputs = []
    for seconds in (0.001, 600):
        run = [*command, '--episodes=2', f'--seconds={seconds}']
        done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert 'the same command measures the' in outputs[0]
    assert 'the same command' not in outputs[1]
    pieces = {line['piece'] for line in read_json_lines(tmp_path / 'card.jsonl')}
    assert pieces == {
        *('ceilings, tf32', 'training, vgg16, tf32, batch 1', 'predict, batch 1', 'predict, batch 16', 'first step'),
        *('evaluation, with cached features', 'evaluation, without cached features', 'training of shapes'),
        'longest operations',
    }
    for name in pieces:
        assert f'| {name} |' in outputs[1]


@pytest.mark.exhaustive
def test_the_cost_of_an_encoder_needs_no_weights(tmp_path):
    command = [
        sys.executable,
        'benchmarks/encoders.py',
        '--cost',
        '--encoders',
        'dinov2-tiny',
        f'--out={tmp_path / "t.md"}',
    ]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    header, _, row = (tmp_path / 't.md').read_text().splitlines()
    assert printed.splitlines() == (tmp_path / 't.md').read_text().splitlines()
    assert header == '| encoder | pixels | ms | parameters | activations |'
    assert row.startswith('| dinov2-tiny | 518 | ')
    assert '0.2 M' in row
