import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ErrorCode } from '../../src/errors.js';
import { jobReplySchema } from '../../src/jobs/job-view.js';
import { alternatingLines, printAlternating } from '../alternating-lines.js';
import { untilTold } from './gpu-jobs.js';
import { LiveStack, type JobReply } from './live-stack.js';
import { refusal } from '../refusal.js';
import { until } from '../until.js';

let stack: LiveStack;
let work: string;
let sha: string;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'jr-jobs-'));
  writeFileSync(join(work, 'hello.txt'), 'hello\n');
  writeFileSync(join(work, 'infer.py'), 'import sys; print("inferred", sys.argv[1:])\n');
  execFileSync('tar', ['-czf', 'data.tar.gz', 'hello.txt', 'infer.py'], { cwd: work });
  stack = await LiveStack.start();
  const form = new FormData();
  form.set('file', new Blob([readFileSync(join(work, 'data.tar.gz'))]), 'data.tar.gz');
  const { json } = await stack.call<{ sha256: string }>('POST', '/datasets/upload', { body: form });
  sha = json.sha256;
});

afterAll(async () => {
  await stack.remove();
  rmSync(work, { recursive: true });
});

describe('the main job', () => {
  test('pytorch_example trains, logs, and leaves weights to download', async () => {
    const job = await stack.run({
      command_key: 'pytorch_example',
      dataset_sha: sha,
      gpus: 1,
      cpus: 2,
      mem_gb: 2,
      time_limit: '00:10:00',
      params: { epochs: 2 },
    });
    expect(job).toMatchObject({ status: 'COMPLETED', exit_code: 0, failure: null });
    expect(job.log).toMatch(/dataset: 2 file\(s\).*epoch 2\/2 {2}loss/s);
    const result = await stack.call<{ outputs: { output_id: string; sha256: string }[] }>(
      'GET',
      `/jobs/${job.job_id}/result`,
    );
    expect(result.json.outputs.map((output) => output.output_id)).toEqual(['weights', 'metrics']);
    const download = await fetch(
      `${stack.url}/outputs/download?experiment_id=${job.experiment_id}&output_id=weights`,
      { headers: { Authorization: `Bearer ${stack.token}` } },
    );
    writeFileSync(join(work, 'model.pth'), Buffer.from(await download.arrayBuffer()));
    const found = execFileSync('sha256sum', [join(work, 'model.pth')]).toString();
    expect(found.split(' ')[0]).toBe(result.json.outputs[0]?.sha256);
  });

  test('pytorch_infer runs a script of the dataset, or an uploaded one, with its arguments', async () => {
    const form = new FormData();
    form.set('command_key', 'pytorch_infer');
    form.set('args', `--text "two words" 'it''s'`);
    form.set('script', new Blob(['import sys; print("uploaded", sys.argv[1:])']), 'my script.py');
    const uploaded = await stack.call('POST', '/jobs', { body: form });
    const fromDataset = { command_key: 'pytorch_infer', dataset_sha: sha, args: ['--n', '1'] };
    const [first, second, missing] = await Promise.all([
      stack.finish(uploaded.json.job_id),
      stack.run(fromDataset),
      stack.run({ ...fromDataset, params: { script: 'other.py' } }),
    ]);
    expect(first.log).toContain(`uploaded ['--text', 'two words', 'its']`);
    expect(second.log).toContain(`inferred ['--n', '1']`);
    expect(missing).toMatchObject({ status: 'FAILED', exit_code: 2, failure: 'user_code' });
    expect(missing.log).toMatch(/the dataset has no script other\.py.*infer\.py/s);
  });

  test('echo_params shows the given parameters', async () => {
    const params = { text: `a'b"c$(id)\`id\`\n\\`, n: 1.5, list: [1, null], '': 'x' };
    const job = await stack.run({ command_key: 'echo_params', params, args: ['x y', '', '$HOME'] });
    expect(job.log).toContain(`params: ${JSON.stringify(params)}\n`);
    expect(job.log).toContain('args: x y\nargs: \nargs: $HOME\n');
    expect(job.log).toContain('user: runner');
  });
});

describe('what a job sees', () => {
  test('its environment holds only its own variables, JobRunner’s and Slurm’s', async () => {
    const job = await stack.shell('env -0 | cut -z -d= -f1 | tr "\\0" "\\n"', {
      env: { MY_OWN: 'x' },
      dataset_sha: sha,
    });
    const all = job.log.split('\n').filter((name) => name !== '');
    const names = all.filter((name) => !name.startsWith('SLURM'));
    const expected =
      'CUDA_VISIBLE_DEVICES HOME HOSTNAME JR_DATASET_DIR JR_DATASET_FILE JR_EXPERIMENT_ID JR_JOB_ID JR_OUTPUT_DIR ' +
      'JR_PARAMS LANG LOGNAME MY_OWN PATH PWD PYTHONUNBUFFERED SHELL SHLVL TMPDIR USER _';
    expect(names.sort()).toEqual(expected.split(' ').sort());
    // Otherwise slurmd has started a login shell for the environment, which costs time and reads
    // runner's profile.
    expect(all).not.toContain('SLURM_GET_USER_ENV');
  });

  test('it runs as runner, in its own folder, and can read but not change its dataset', async () => {
    const job = await stack.shell(
      `id -un; pwd; cat "$JR_DATASET_DIR/hello.txt"; tar -tzf "$JR_DATASET_FILE"
       touch "$JR_DATASET_DIR/x" 2>&1 || echo refused; { echo x >>"$JR_DATASET_FILE"; } 2>&1 || echo refused
       rm -rf "$JR_DATASET_DIR" 2>/dev/null; ls "$JR_DATASET_DIR"`,
      { dataset_sha: sha },
    );
    expect(job.log).toContain(
      `runner\n${stack.root}/results/${job.job_id}\nhello\nhello.txt\ninfer.py\n`,
    );
    expect(job.log.match(/^refused$/gm)).toHaveLength(2);
    expect(job.log.endsWith('hello.txt\ninfer.py\n')).toBe(true);
  });

  test('it cannot read the service’s secrets, database or keys', async () => {
    const { root } = stack;
    const job = await stack.shell(
      `cat ${root}/secrets/auth-token ${root}/db/jr_slurm.db ${root}/munge/munge.key ${root}/slurm/etc/slurmdbd.conf
       ls ${root}/mysql ${root}/slurm/state ${root}/secrets
       for f in /proc/[0-9]*/environ; do tr '\\0' '\\n' <"$f"; done 2>/dev/null | grep -c '${stack.token}'
       ps -eo args | grep -v grep | grep -c '${stack.token}'`,
    );
    expect(job.log.match(/Permission denied/g)).toHaveLength(7);
    expect(job.log.trim().endsWith('\n0\n0')).toBe(true);
  });

  test('each GPU goes to one job, and a job without GPUs sees none', async () => {
    const show = 'echo "cuda=[$CUDA_VISIBLE_DEVICES] slurm=[$SLURM_JOB_GPUS]"';
    // Both run at once, however late one of them starts.
    const waiting = {
      command_key: 'shell',
      command: `${show}; ${untilTold}`,
      mem_gb: 0.2,
      gpus: 1,
    };
    const replies = [await stack.submit(waiting), await stack.submit(waiting)];
    const none = await stack.shell(show);
    const ids = replies.map(({ json }) => json.job_id);
    for (const id of ids) await stack.says(id, /\n/);
    for (const id of ids) writeFileSync(join(stack.root, 'results', String(id), 'end'), '');
    const jobs = [await stack.finish(ids[0] ?? 0), await stack.finish(ids[1] ?? 0), none];
    const seen = jobs.map((job) => job.log.trim());
    expect(seen.slice(0, 2).sort()).toEqual(['cuda=[0] slurm=[0]', 'cuda=[1] slurm=[1]']);
    expect(seen[2]).toBe('cuda=[] slurm=[]');
  });
});

describe('how a job ends', () => {
  test('the exit code, the signal and the reason are reported', async () => {
    const memoryHog = 'x=$(head -c 600M /dev/zero | tr "\\0" x); sleep 30';
    const [failed, killed, hog] = await Promise.all([
      stack.shell('exit 7'),
      stack.shell('kill -SEGV $PPID'),
      stack.shell(memoryHog, { mem_gb: 0.1 }),
    ]);
    expect(failed).toMatchObject({ status: 'FAILED', exit_code: 7, failure: 'user_code' });
    expect(killed).toMatchObject({ status: 'FAILED', signal: 11, exit_code: null });
    expect(hog).toMatchObject({ failure: 'out_of_memory' });
    expect(hog.message).toMatch(/\b102 MiB/);
  });

  test('cancelling ends a job that ignores SIGTERM, and a waiting job', async () => {
    const stubborn = await stack.submit({
      command_key: 'shell',
      command: 'trap "" TERM; echo on; while true; do sleep 1; done',
    });
    const waiting = await stack.submit({ command_key: 'shell', command: 'true', cpus: 16 });
    await stack.until(stubborn.json.job_id, 'RUNNING');
    for (const { json } of [waiting, stubborn]) {
      const cancelled = await stack.call('POST', `/jobs/${json.job_id}/cancel`);
      expect(cancelled.status).toBe(200);
      expect(await stack.finish(json.job_id)).toMatchObject({
        status: 'CANCELLED',
        failure: 'cancelled',
      });
    }
    const again = await stack.call('POST', `/jobs/${stubborn.json.job_id}/cancel`);
    expect(again).toMatchObject({ status: 409, json: { error: refusal('conflict') } });
    expect(again.json.error.details).toEqual({ state: 'CANCELLED' });
  });

  test('hold, release, requeue and rerun act as in Slurm', async () => {
    const blocker = await stack.submit({ command_key: 'shell', command: 'sleep 600', cpus: 16 });
    const { json } = await stack.submit({ command_key: 'shell', command: 'echo done' });
    const id = json.job_id;
    await stack.until(blocker.json.job_id, 'RUNNING');
    expect((await stack.call('POST', `/jobs/${id}/hold`)).json.reason).toBe('JobHeldUser');
    await stack.call('POST', `/jobs/${blocker.json.job_id}/cancel`);
    await stack.finish(blocker.json.job_id);
    expect((await stack.call('GET', `/jobs/${id}`)).json.status).toBe('PENDING');
    await stack.call('POST', `/jobs/${id}/release`);
    expect(await stack.finish(id)).toMatchObject({ status: 'COMPLETED', log: 'done\n' });
    // Slurm waits before it starts them again, so both are requeued at once.
    const requeued: number[] = [];
    for (const requeue of [false, true]) {
      const { json: job } = await stack.submit({
        command_key: 'shell',
        command: 'echo run >>runs; echo begun; [ $(wc -l <runs) = 2 ] || sleep 600',
        requeue,
      });
      await stack.says(job.job_id, /begun/);
      expect((await stack.call('POST', `/jobs/${job.job_id}/requeue`)).status).toBe(200);
      const again = await stack.call('GET', `/jobs/${job.job_id}`);
      expect(again.json.status).not.toMatch(/COMPLETED|CANCELLED|FAILED/);
      // Slurm's own requeue after a node failure stays as submitted.
      const shown = execFileSync('scontrol', ['show', 'job', String(again.json.slurm_job_id)], {
        env: { ...process.env, SLURM_CONF: join(stack.root, 'slurm/etc/slurm.conf') },
      }).toString();
      expect(shown).toContain(` Requeue=${requeue ? 1 : 0} `);
      requeued.push(job.job_id);
    }
    for (const job of requeued)
      expect(await stack.finish(job)).toMatchObject({ status: 'COMPLETED' });
    const rerun = await stack.call('POST', `/jobs/${id}/rerun`);
    expect(rerun.status).toBe(201);
    expect(rerun.json.job_id).toBeGreaterThan(id);
    expect(await stack.finish(rerun.json.job_id)).toMatchObject({ log: 'done\n' });
  });

  test('deleting a job removes its outputs and log, whatever modes they have', async () => {
    const job = await stack.shell(
      'mkdir -p a/b; touch a/b/c; chmod -R 700 a; umask 077; mkdir d; touch d/e',
    );
    expect((await stack.call('DELETE', `/jobs/${job.job_id}`)).status).toBe(204);
    expect((await stack.call('GET', `/jobs/${job.job_id}`)).status).toBe(404);
    expect((await stack.call('GET', `/outputs/by_job/${job.job_id}`)).status).toBe(404);
  });
});

describe('what a job leaves behind', () => {
  test('a process that left its parent and session ends with the job', async () => {
    // A number of seconds that no other run of this test sleeps.
    const mark = `sleep ${100_000 + process.pid}`;
    const job = await stack.shell(`setsid -f ${mark} >/dev/null 2>&1; (${mark} & ) ; true`);
    expect(job.status).toBe('COMPLETED');
    expect(execFileSync('ps', ['-eo', 'args']).toString()).not.toContain(mark);
  });

  test('a program gets time to finish after SIGTERM', async () => {
    const { json } = await stack.submit({
      command_key: 'shell',
      command:
        'trap "sleep 1; echo wound up; exit 0" TERM; echo on; while true; do sleep 0.1; done',
    });
    await stack.until(json.job_id, 'RUNNING');
    await stack.says(json.job_id, /^on$/m);
    await stack.call('POST', `/jobs/${json.job_id}/cancel`);
    expect(await stack.finish(json.job_id)).toMatchObject({ status: 'CANCELLED' });
    expect((await stack.finish(json.job_id)).log).toContain('wound up\n');
  });
});

describe('the log', () => {
  test('holds both streams in order: plain, with a timeout, and in a screen session', async () => {
    const [plain, timed, inScreen] = await Promise.all([
      stack.shell(printAlternating),
      stack.shell(printAlternating, { timeout: 60 }),
      stack.shell(printAlternating, { screen: true }),
    ]);
    expect(plain.log).toBe(alternatingLines);
    expect(timed.log).toBe(alternatingLines);
    expect(inScreen.log.replaceAll('\r', '')).toBe(alternatingLines);
  });

  test('is one file, or two on request, and can be read in parts', async () => {
    const print = 'for i in 1 2 3; do echo out$i; echo err$i >&2; done';
    const [job, split] = await Promise.all([
      stack.shell(print),
      stack.shell(print, { split_log: true }),
    ]);
    expect(job.log).toBe('out1\nerr1\nout2\nerr2\nout3\nerr3\n');
    const refusals = await Promise.all(
      ['log', 'log/stream'].map((path) =>
        stack.call('GET', `/jobs/${job.job_id}/${path}?stream=stderr`),
      ),
    );
    for (const refused of refusals)
      expect(refused).toMatchObject({
        status: 409,
        json: { error: refusal('log_not_split', 'stream') },
      });
    expect(split.log).toBe('out1\nout2\nout3\n');
    const errors = await stack.call('GET', `/jobs/${split.job_id}/log?stream=stderr`);
    expect(errors.text).toBe('err1\nerr2\nerr3\n');
    // A job from an earlier version has both files without split_log.
    writeFileSync(join(stack.root, 'logs/jobs', String(job.job_id), 'stderr.log'), 'old\n');
    const log = async (query: string) =>
      (await stack.call('GET', `/jobs/${job.job_id}/log?${query}`)).text;
    expect(await log('stream=stderr')).toBe('old\n');
    expect(await log('tail=2')).toBe(job.log.slice(20));
    expect(await log('offset=5&limit=5')).toBe(job.log.slice(5, 10));
    expect(await log('offset=99999')).toBe('');
  });

  test('is streamed as server-sent events that can be resumed at a byte', async () => {
    const { json } = await stack.submit({
      command_key: 'shell',
      command: `echo "ä first"; ${untilTold}; printf "second\\nthird"`,
    });
    const response = await fetch(`${stack.url}/jobs/${json.job_id}/log/stream`, {
      headers: { Authorization: `Bearer ${stack.token}` },
    });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const decoder = new TextDecoder();
    let events = '';
    for await (const chunk of response.body ?? []) {
      events += decoder.decode(chunk as Uint8Array, { stream: true });
      // The rest is written only now; otherwise both might arrive as one event.
      if (events.includes('first'))
        writeFileSync(join(stack.root, 'results', String(json.job_id), 'end'), '');
    }
    expect(events).toMatch(/^id: 9\nevent: log\ndata: ä first\ndata: \n\n/);
    expect(events).toMatch(/event: end\ndata: \{"state":"COMPLETED"\}\n\n$/);
    const resumed = await stack.call('GET', `/jobs/${json.job_id}/log/stream`, {
      headers: { 'Last-Event-ID': '9' },
    });
    expect(resumed.text).toMatch(/^id: 21\nevent: log\ndata: second\ndata: third\n\n/);
  });

  test('a job that replaces its log by a link, or deletes it, shows nothing else of this machine', async () => {
    const folder = `${stack.root}/logs/jobs/$JR_JOB_ID`;
    const [link, deleted, hardLink] = await Promise.all([
      stack.shell(`ln -sf ${stack.root}/secrets/auth-token ${folder}/stdout.log`),
      stack.shell(`rm -f ${folder}/stdout.log`),
      stack.shell(`rm ${folder}/stdout.log; mkfifo ${folder}/stdout.log`),
    ]);
    for (const job of [link, deleted, hardLink]) {
      expect(job.status).toBe('COMPLETED');
      expect(job.log).toMatch(/"code":"not_found"/);
      expect(job.log).not.toContain(stack.token);
    }
  });

  test('of 300 MB with all kinds of bytes arrives whole', async () => {
    const job = await stack.submit({
      command_key: 'shell',
      command: 'head -c 300M /dev/urandom; echo; echo the end',
    });
    const ended = await stack.call('GET', `/jobs/${job.json.job_id}?wait=300`);
    expect(ended.json.status).toBe('COMPLETED');
    const reply = await fetch(`${stack.url}/jobs/${job.json.job_id}/log`, {
      headers: { Authorization: `Bearer ${stack.token}` },
    });
    let bytes = 0;
    for await (const chunk of reply.body ?? []) bytes += (chunk as Uint8Array).length;
    expect(bytes).toBe(300 * 1024 ** 2 + 9);
    const tail = await stack.call('GET', `/jobs/${job.json.job_id}/log?tail=1`);
    expect(tail.text).toBe('the end\n');
  }, 360_000);
});

describe('no input of a caller runs as code', () => {
  const nasty = [
    `'; touch /tmp/jr-pwned; '`,
    '$(touch /tmp/jr-pwned)',
    '`touch /tmp/jr-pwned`',
    '"; touch /tmp/jr-pwned #',
    "line\n#SBATCH --time=1\ntouch /tmp/jr-pwned\n'",
    '{{command}} {{params.x}} ${JR_JOB_ID} \\',
    'ünï😀\u202e',
    '--wrap=touch /tmp/jr-pwned',
    "'\\''",
  ];

  test('in parameters, arguments, variables or names', async () => {
    const jobs = await Promise.all(
      nasty.map((text) =>
        stack.run({
          command_key: 'echo_params',
          params: { text },
          args: [text],
          env: { TEXT: text },
          ...(/[\n]/.test(text) ? {} : { name: text }),
        }),
      ),
    );
    jobs.forEach((job, i) => {
      expect(job).toMatchObject({ status: 'COMPLETED', exit_code: 0 });
      expect(job.log).toContain(`args: ${nasty[i]}\n`);
    });
    expect(() => readFileSync('/tmp/jr-pwned')).toThrow('ENOENT');
  });

  test('in an uploaded script’s name, which cannot lead out of its folder', async () => {
    for (const name of ['../../../tmp/x.py', '..', "a'b$(id).py", '-c', '.hidden']) {
      const form = new FormData();
      form.set('command_key', 'pytorch_infer');
      form.set('script', new Blob(['print("ran")']), name);
      const { json } = await stack.call('POST', '/jobs', { body: form });
      expect((await stack.finish(json.job_id)).log).toBe('ran\n');
    }
  }, 300_000);
});

describe('a request that cannot be met', () => {
  test.each([
    ['gpus', { gpus: 3 }, 2],
    ['cpus', { cpus: 17 }, 16],
    ['mem_gb', { mem_gb: 100_000 }, undefined],
    ['time_limit', { time_limit: '8-00:00:00' }, '7-00:00:00'],
    ['time_limit', { time_limit: 'UNLIMITED' }, '7-00:00:00'],
  ])('for %s beyond the node is refused with the limit: %j', async (field, fields, limit) => {
    const reply = await stack.submit({ command_key: 'shell', command: 'true', ...fields });
    const error = refusal('unprocessable', field);
    expect(reply).toMatchObject({ status: 422, json: { error } });
    if (limit !== undefined) expect(reply.json.error.details).toMatchObject({ limit });
  });

  test.each<[string, object, number, ErrorCode]>([
    ['command_key', { command_key: 'nothing' }, 404, 'not_found'],
    ['command_key', { command_key: '../shell', command: 'x' }, 404, 'not_found'],
    ['dataset_sha', { dataset_sha: 'A'.repeat(64) }, 400, 'bad_request'],
    ['dataset_sha', { dataset_sha: '0'.repeat(64) }, 404, 'not_found'],
    ['gpus', { gpus: -1 }, 400, 'bad_request'],
    ['gpus', { gpus: 'many' }, 400, 'bad_request'],
    ['cpus', { cpus: 0 }, 400, 'bad_request'],
    ['mem_gb', { mem_gb: 0 }, 400, 'bad_request'],
    ['time_limit', { time_limit: '0' }, 400, 'bad_request'],
    ['time_limit', { time_limit: '1:00; rm' }, 400, 'bad_request'],
    ['name', { name: 'a\nb' }, 400, 'bad_request'],
    ['experiment_id', { experiment_id: '../x' }, 400, 'bad_request'],
    ['env.JR_ROOT', { env: { JR_ROOT: 'x' } }, 400, 'bad_request'],
    ['env.a b', { env: { 'a b': 'x' } }, 400, 'bad_request'],
    ['env.A', { env: { A: 'nul\0' } }, 400, 'bad_request'],
    ['params', { params: { a: 'nul\0' } }, 400, 'bad_request'],
    ['params', { params: 'not json' }, 400, 'bad_request'],
    ['args.0', { args: ['nul\0'] }, 400, 'bad_request'],
    ['command', { command: 'x'.repeat(1_000_000) }, 400, 'bad_request'],
    ['partition', { partition: 'nowhere' }, 422, 'unprocessable'],
    ['priority_', { priority_: 1 }, 400, 'bad_request'],
    ['__proto__', JSON.parse('{"__proto__":{"a":1}}') as object, 400, 'bad_request'],
  ])('with a bad %s names the field: %j', async (field, fields, status, code) => {
    const reply = await stack.submit({ command_key: 'shell', command: 'true', ...fields });
    expect(reply).toMatchObject({ status, json: { error: refusal(code, field) } });
  });

  test('with an unknown command_key lists the known ones', async () => {
    const { json } = await stack.submit({ command_key: 'nothing' });
    const { json: listed } = await stack.call<{ commands: { command_key: string }[] }>(
      'GET',
      '/commands',
    );
    expect(json.error.details?.['command_keys']).toEqual(
      listed.commands.map(({ command_key: key }) => key),
    );
  });

  test('with a body that is too large is refused', async () => {
    const reply = await stack.submit({ command_key: 'shell', command: 'x'.repeat(1_100_000) });
    expect(reply).toMatchObject({ status: 413, json: { error: refusal('too_large') } });
  });

  test('with an unknown parameter names the template’s parameters', async () => {
    const params = { epochs: 0, nonsense: 1 };
    const reply = await stack.submit({ command_key: 'pytorch_example', params });
    expect(reply).toMatchObject({
      status: 400,
      json: { error: refusal('bad_request', 'params.nonsense', 'params.epochs') },
    });
    expect(reply.json.error.details?.['parameters']).toContain('epochs');
  });

  test('gets a different error for an invalid JSON body, an unknown path and an unknown job', async () => {
    const broken = await stack.call('POST', '/jobs', {
      body: '{',
      headers: { 'Content-Type': 'application/json' },
    });
    expect(broken).toMatchObject({ status: 400, json: { error: refusal('bad_request', 'body') } });
    for (const [path, status, error] of [
      ['/jobs/99999', 404, refusal('not_found', 'id')],
      ['/jobs/abc', 400, refusal('bad_request', 'id')],
      ['/nothing', 404, refusal('not_found')],
    ] as const)
      expect(await stack.call('GET', path)).toMatchObject({ status, json: { error } });
  });
});

type Waiting = JobReply & { reason_text: string | null };

describe('asking', () => {
  test('an Idempotency-Key makes one job of one request, and refuses a different request', async () => {
    const fields = { command_key: 'shell', command: 'true' };
    const key = { 'Idempotency-Key': 'once-1' };
    const replies = await Promise.all([1, 2, 3].map(() => stack.submit(fields, key)));
    expect(replies.map((reply) => reply.status).sort()).toEqual([200, 200, 201]);
    expect(new Set(replies.map((reply) => reply.json.job_id)).size).toBe(1);
    const other = await stack.submit({ ...fields, command: 'false' }, key);
    const error = refusal('conflict', 'Idempotency-Key');
    expect(other).toMatchObject({ status: 409, json: { error } });
    // Otherwise it may still wait when the next tests look at waiting jobs.
    await stack.finish(replies[0]?.json.job_id ?? 0);
  });

  test('an Idempotency-Key finds its job even after the job’s template or dataset has changed or is gone', async () => {
    const body = 'gone before the reply came';
    const dataset = createHash('sha256').update(body).digest('hex');
    expect((await stack.call('PUT', `/datasets/${dataset}`, { body })).status).toBe(201);
    const again = () =>
      stack.submit(
        { command_key: 'shell', command: 'true', llm: 'some', dataset_sha: dataset },
        { 'Idempotency-Key': 'once-2' },
      );
    const { status, json } = await again();
    expect(status).toBe(201);
    await stack.finish(json.job_id);
    const table = join(stack.root, 'llm_config.json');
    writeFileSync(table, '{"models": {"some": 2}}');
    expect(await again()).toMatchObject({ status: 200, json: { job_id: json.job_id } });
    await stack.call('DELETE', `/datasets/${dataset}`);
    expect(await again()).toMatchObject({ status: 200, json: { job_id: json.job_id } });
    rmSync(table);
  });

  test('a job shows every submitted field', async () => {
    const fields = {
      command_key: 'shell',
      command: 'true',
      partition: 'main',
      venv: '/nowhere/venv',
      requeue: true,
      cuda: 'add',
      split_log: true,
      timeout: 30,
      env: { A: 'b' },
      mem_gb: 0.2,
      time_limit: '5',
      name: 'all fields',
    };
    const { job_id } = await stack.run(fields);
    const { json } = await stack.call('GET', `/jobs/${job_id}`);
    expect(json).toMatchObject({ ...fields, conda_env: null, gpu_type: null, screen: false });
    expect(jobReplySchema.parse(json)).toEqual(json);
  });

  test('dry_run shows the script and starts nothing', async () => {
    const before = await stack.call<{ jobs: unknown[] }>('GET', '/jobs');
    const reply = await stack.call<{ script: string }>('POST', '/jobs', {
      body: new URLSearchParams({ command_key: 'shell', command: 'echo "hi"', dry_run: '1' }),
    });
    expect(reply.status).toBe(200);
    expect(reply.json.script).toContain(`bash -c 'echo "hi"' bash`);
    const after = await stack.call<{ jobs: unknown[] }>('GET', '/jobs');
    expect(after.json.jobs).toHaveLength(before.json.jobs.length);
  });

  test('health, nodes, partitions, GPUs, commands and metrics answer', async () => {
    const health = await fetch(`${stack.url}/health`);
    expect(await health.json()).toMatchObject({ status: 'ok', slurmctld: 'up', slurmdbd: 'up' });
    const nodes = await stack.call<{ nodes: { name: string; cpus: number }[] }>('GET', '/nodes');
    expect(nodes.json.nodes).toMatchObject([{ name: 'box0', cpus: 16 }]);
    const partitions = await stack.call('GET', '/partitions');
    expect(partitions.json).toEqual({ partitions: [{ name: 'main', nodes: ['box0'] }] });
    const gpus = await stack.call<{ gpus: { index: number }[] }>('GET', '/gpus');
    expect(gpus.json.gpus.map((gpu) => gpu.index)).toEqual([0, 1]);
    const commands = await stack.call<{ commands: { command_key: string }[] }>('GET', '/commands');
    const keys = commands.json.commands.map((command) => command.command_key);
    expect(keys).toEqual([
      'echo_params',
      'git_queue',
      'python_script',
      'pytorch_example',
      'pytorch_infer',
      'script',
      'shell',
    ]);
    const metrics = await stack.call('GET', '/metrics');
    expect(metrics.text).toMatch(/jobrunner_up 1/);
  });

  test('a drained node keeps jobs waiting and says so, until it is resumed', async () => {
    expect((await stack.call('POST', '/nodes/box0/drain')).json).toMatchObject({
      reason: 'drained over the API',
    });
    const { json } = await stack.submit({ command_key: 'shell', command: 'true' });
    // Slurm gives several reasons, one after another; all are shown in the same plain words.
    await until('the API says why the job waits', async (saw) => {
      const { json: now } = await stack.call<Waiting>('GET', `/jobs/${json.job_id}`);
      saw(now);
      return now.reason_text?.includes('drained') === true;
    });
    await stack.call('POST', '/nodes/box0/resume');
    expect(await stack.finish(json.job_id)).toMatchObject({ status: 'COMPLETED' });
    expect(await stack.call('POST', '/nodes/other/drain')).toMatchObject({
      status: 404,
      json: { error: refusal('not_found', 'name') },
    });
  });

  test('every refusal without a valid token is the same', async () => {
    const tries = [undefined, 'Bearer', 'Bearer wrong', 'Basic abc', `Bearer ${stack.token}x`, ''];
    const replies = await Promise.all(
      tries.map(async (authorization) => {
        const headers = authorization === undefined ? {} : { Authorization: authorization };
        const reply = await fetch(`${stack.url}/jobs`, {
          headers: headers as Record<string, string>,
        });
        return `${reply.status} ${await reply.text()}`;
      }),
    );
    expect(new Set(replies).size).toBe(1);
    expect(replies[0]).toMatch(/^401 /);
  });
});
