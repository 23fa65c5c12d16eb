import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { LiveStack } from './live-stack.js';
import { until } from '../until.js';

const count = 2000;

/** A script that opens connections, says how many it has, and holds them. */
const hold = (connect: string, before = '') => `ulimit -n $(ulimit -Hn)
exec perl -MSocket -e '
  ${before}
  for (1 .. ${count}) {
    ${connect} or $why = $!, last;
    push @held, $s;
  }
  $| = 1;
  print @held + 0, " held", $why ? ": $why" : "", "\\n";
  exit 3 unless @held;
  sleep 600;
'`;

const toPort = (port = '') =>
  `socket($s = undef, PF_INET, SOCK_STREAM, 0) && connect($s, pack_sockaddr_in(${port}, INADDR_LOOPBACK))`;
const toFile = (path: string) =>
  `socket($s = undef, PF_UNIX, SOCK_STREAM, 0) && connect($s, pack_sockaddr_un("${path}"))`;

const daemons = ['slurmctld', 'slurmd', 'slurmdbd'];
const portOf = ({ env }: LiveStack, daemon: string) => env[`JR_${daemon.toUpperCase()}_PORT`];
const job = (command: string) => ({ command_key: 'shell', command, mem_gb: 0.2 });

let stack: LiveStack;
let newcomers = 0;

/** The jobs of others run, also the first one of a new user, which needs slurmdbd. */
async function expectAllWell(): Promise<void> {
  expect(await stack.shell('true')).toMatchObject({ status: 'COMPLETED' });
  const newcomer = await stack.asUser(`newcomer-${newcomers++}`);
  expect(await stack.run(job('true'), newcomer)).toMatchObject({ status: 'COMPLETED' });
  const { status, json } = await stack.call('GET', '/health');
  expect([status, json]).toMatchObject([200, { status: 'ok' }]);
}

async function offend(command: string) {
  const { json } = await stack.submit(job(command), await stack.asUser('offender'));
  await expectAllWell();
  return stack.finish(json.job_id);
}

describe('where nftables may be used', () => {
  beforeAll(async () => {
    stack = await LiveStack.start();
  });
  afterAll(() => stack.remove());

  test.each(daemons)('no job can connect to %s', async (daemon) => {
    expect(await offend(hold(toPort(portOf(stack, daemon))))).toMatchObject({
      status: 'FAILED',
      exit_code: 3,
      log: '0 held: Connection refused\n',
    });
  });

  test('no job can reach the socket of MariaDB or of the supervisor', async () => {
    for (const socket of ['mysql/mysqld.sock', 'supervisor.sock'])
      expect(await offend(hold(toFile(`${stack.root}/run/${socket}`)))).toMatchObject({
        status: 'FAILED',
        exit_code: 3,
        log: '0 held: Permission denied\n',
      });
  });

  test('no job can reach the socket by which another job is ended', async () => {
    const other = await stack.submit(job('sleep 600'));
    const { job_id: id, slurm_job_id: number } = other.json;
    await stack.until(id, 'RUNNING');
    const spool = join(stack.root, 'slurm/spool/box0');
    const socket = await until('its slurmstepd listens', () =>
      readdirSync(spool).find((name) => name.startsWith(`box0_${number}.`)),
    );
    expect(await offend(hold(toFile(join(spool, socket))))).toMatchObject({
      status: 'FAILED',
      exit_code: 3,
      log: '0 held: Permission denied\n',
    });
    await stack.call('POST', `/jobs/${id}/cancel`);
    expect((await stack.finish(id)).status).toBe('CANCELLED');
  });
});

describe('in a container without privileges', () => {
  beforeAll(async () => {
    stack = await LiveStack.start({}, ['setpriv', '--bounding-set', '-net_admin,-sys_ptrace']);
  });
  afterAll(() => stack.remove());

  const ended = (daemon: string) => ({
    status: 'FAILED',
    failure: 'user_code',
    message: expect.stringMatching(
      new RegExp(
        `^held \\d+ connections to ${daemon} and was ended; Slurm’s daemons are closed to jobs$`,
      ),
    ) as unknown,
  });

  test.each(daemons)('a job that holds connections to %s is ended', async (daemon) => {
    expect(await offend(hold(toPort(portOf(stack, daemon))))).toMatchObject(ended(daemon));
  });

  test('a job that holds a few of them for long is ended', async () => {
    const few = hold(toPort(portOf(stack, 'slurmdbd'))).replace(String(count), '3');
    expect(await offend(few)).toMatchObject(ended('slurmdbd'));
  });

  test('a process that hides its files is found by that', async () => {
    const PR_SET_DUMPABLE = 4;
    const setDumpable = `require "sys/syscall.ph"; syscall(&SYS_prctl, ${PR_SET_DUMPABLE}, 0, 0, 0, 0);`;
    const hiding = hold(toPort(portOf(stack, 'slurmctld')), setDumpable);
    const innocent = await stack.submit(job('sleep 600'), await stack.asUser('offender'));
    expect(await offend(hiding)).toMatchObject({ status: 'FAILED', signal: 9 });
    const { json } = await stack.call('GET', `/jobs/${innocent.json.job_id}`);
    expect(json.status).toBe('RUNNING');
    await stack.call('POST', `/jobs/${innocent.json.job_id}/cancel`);
  });

  test('a process that has left its job costs its user all jobs', async () => {
    // Its parent has ended before it opens a connection.
    const leavesJob =
      '$p = $$; exit if fork; select undef, undef, undef, 0.01 while getppid == $p;';
    const leaving = hold(toPort(portOf(stack, 'slurmctld')), leavesJob);
    const left = `${leaving.replace('exec perl', 'env -i setsid perl')}\nsleep 600`;
    expect(await offend(left)).toMatchObject(ended('slurmctld'));
  });

  test('jobs may try Slurm’s commands, in vain', async () => {
    const tries = Array.from({ length: 12 }, () => 'squeue &').join('\n');
    const { status, log } = await stack.shell(`${tries}\nwait; echo done`);
    expect(status).toBe('COMPLETED');
    expect(log).toMatch(/munge[^]*done\n$/i);
  });
});
