import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { interleave } from '../interleave.js';
import { seeded } from '../seeded.js';
import { submitterOf } from '../submitter.js';
import { Stack } from '../stack.js';

const gpus = 8;
const fractions = [0.1, 0.25, 0.3, 0.5, 0.5, 0.7, 1];
const shortestSeconds = 3;
const longestSeconds = 15;
/** Makespan ÷ bound; its inverse is the use of the GPUs, which is at least 0.85. */
const packingTarget = 1.176;
const successionTarget = 1.2;

/** Each job records its start and end in seconds, its GPU, and its share of it. */
const record =
  'b=$EPOCHREALTIME; sleep "$1"; echo "$b $EPOCHREALTIME $CUDA_VISIBLE_DEVICES $JR_GPU_FRACTION"';

/** @type {import('../main.js').Figure} */
export const gpuSharing = {
  name: 'gpus',
  how:
    `**gpus**: a separate stack with ${gpus} simulated GPUs. Packing: jobs sleep ` +
    `${shortestSeconds} to ${longestSeconds} s on ${[...new Set(fractions)].join(', ')} of a ` +
    'GPU, drawn with a fixed seed and all submitted at once. The jobs’ own records give the ' +
    'time from the first start to the last end. The rival is all their GPU-time divided by ' +
    'the number of GPUs; no packing is faster. The records also show the use of each GPU at ' +
    'any moment; more than a whole GPU fails the figure. Succession: ten jobs need the same ' +
    'whole GPU. The time is from the end of one command to the start of the next. The rival ' +
    'is `sbatch` as `runner` on the same Slurm.',
  async measure(workspace) {
    const stack = await Stack.start(workspace, 'gpus', {
      JR_SIMULATE_GPUS: String(gpus),
      JR_NUM_CPUS: '96',
      JR_REAL_MEM_MB: '4096',
    });
    try {
      return [...(await packing(workspace, stack)), ...(await succession(workspace, stack))];
    } finally {
      await stack.down();
    }
  },
};

/**
 * @param {import('../workspace.js').Workspace} workspace
 * @param {Stack} stack
 */
async function packing(workspace, stack) {
  const count = workspace.quick ? 40 : 400;
  const random = seeded(1);
  const jobs = Array.from({ length: count }, () => ({
    fraction: fractions[Math.floor(random() * fractions.length)] ?? 1,
    seconds: shortestSeconds + random() * (longestSeconds - shortestSeconds),
  }));
  workspace.say(`  ${count} jobs on ${gpus} GPUs`);
  const ids = [];
  for (const { fraction, seconds } of jobs) {
    const job = await stack.client.expect(201, 'POST', '/jobs', {
      command_key: 'shell',
      command: record,
      args: [seconds.toFixed(3)],
      gpus: fraction,
      mem_gb: 0.05,
    });
    ids.push(job.job_id);
  }
  const records = [];
  for (const [i, id] of ids.entries()) records.push(await recordOf(stack, id, jobs[i]?.fraction));
  checkOverfull(records);
  const makespan =
    Math.max(...records.map(({ end }) => end)) - Math.min(...records.map(({ begin }) => begin));
  const gpuTime = records.reduce(
    (sum, { begin, end, fraction }) => sum + (end - begin) * fraction,
    0,
  );
  return [
    {
      what: `${count} jobs of mixed fractions on ${gpus} GPUs, first start to last end`,
      unit: 's',
      ours: [makespan],
      rival: { name: 'GPU-time ÷ GPUs', values: [gpuTime / gpus] },
      target: packingTarget,
    },
  ];
}

/**
 * @param {Stack} stack
 * @param {number} id
 * @param {number | undefined} asked
 */
async function recordOf(stack, id, asked) {
  for (;;) {
    const { status, message } = await stack.client.expect(200, 'GET', `/jobs/${id}?wait=60`);
    if (status === 'COMPLETED') break;
    if (!['PENDING', 'RUNNING', 'COMPLETING'].includes(status))
      throw new Error(`job ${id} is ${status}: ${message}`);
  }
  const log = await readFile(join(stack.root, 'logs', 'jobs', String(id), 'stdout.log'), 'utf8');
  const [begin, end, gpu, fraction] = log.trim().split(' ').map(Number);
  if (begin === undefined || end === undefined || gpu === undefined || fraction !== asked)
    throw new Error(`job ${id} asked for ${asked} of a GPU and wrote: ${log}`);
  return { begin, end, gpu, fraction: asked };
}

/** @param {{ begin: number, end: number, gpu: number, fraction: number }[]} records */
function checkOverfull(records) {
  for (let gpu = 0; gpu < gpus; gpu++) {
    const events = records
      .filter((job) => job.gpu === gpu)
      .flatMap(({ begin, end, fraction }) => [
        { at: begin, change: fraction },
        { at: end, change: -fraction },
      ])
      .sort((a, b) => a.at - b.at || a.change - b.change);
    let used = 0;
    for (const { at, change } of events) {
      used += change;
      if (used > 1 + 1e-6) throw new Error(`GPU ${gpu} was allocated ${used} times at ${at}`);
    }
  }
}

/**
 * @param {import('../workspace.js').Workspace} workspace
 * @param {Stack} stack
 */
async function succession(workspace, stack) {
  const count = 10;
  workspace.say(`  ${count} jobs one after the other on one GPU`);
  const { uid, gid } = await submitterOf(workspace);
  const path = join(workspace.root, 'gpu.sh');
  await writeFile(path, `#!/bin/bash\nset -- 0.5\n${record}\n`);
  await chmod(path, 0o755);
  const folder = join(workspace.root, 'gpu-out');
  await workspace.run('install', ['-d', '-o', String(uid), '-m', '755', folder]);
  const asRunner = { uid, gid, cwd: '/tmp', env: { SLURM_CONF: stack.slurmConf } };
  let round = 0;

  const ours = async () => {
    const ids = [];
    for (let i = 0; i < count; i++) {
      const fields = {
        command_key: 'shell',
        command: record,
        args: ['0.5'],
        gpus: 1,
        allowed_gpus: '0',
      };
      ids.push(
        (await stack.client.expect(201, 'POST', '/jobs', { ...fields, mem_gb: 0.05 })).job_id,
      );
    }
    const records = [];
    for (const id of ids) records.push(await recordOf(stack, id, 1));
    return meanGap(records);
  };
  const theirs = async () => {
    round += 1;
    const outputs = Array.from({ length: count }, (_, i) => join(folder, `${round}-${i}`));
    const flags = ['--mem=10M', '--gres=gpu:nvidia0:1', '--chdir=/tmp'];
    for (const output of outputs.slice(0, -1))
      await workspace.run('sbatch', [...flags, `--output=${output}`, path], asRunner);
    await workspace.run(
      'sbatch',
      ['--wait', ...flags, `--output=${outputs.at(-1)}`, path],
      asRunner,
    );
    const records = [];
    for (const output of outputs) {
      const [begin = NaN, end = NaN] = (await readFile(output, 'utf8')).split(' ').map(Number);
      records.push({ begin, end });
    }
    return meanGap(records);
  };
  const measured = await interleave(workspace, workspace.runs(7), { ours, theirs });
  return [
    {
      what: 'freed GPU to the next job’s command, mean of nine',
      unit: 's',
      ours: measured.ours,
      rival: { name: '`sbatch`', values: measured.theirs },
      target: successionTarget,
    },
  ];
}

/** @param {{ begin: number, end: number }[]} records */
function meanGap(records) {
  const order = [...records].sort((a, b) => a.begin - b.begin);
  const gaps = order.slice(1).map(({ begin }, i) => begin - (order[i]?.end ?? NaN));
  return gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
}
