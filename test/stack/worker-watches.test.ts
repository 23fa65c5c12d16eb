import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { freePorts } from '../free-ports.js';
import { LiveStack } from './live-stack.js';
import { joinToken, TestWorker } from './test-worker.js';

let stack: LiveStack;
beforeAll(async () => {
  const [port] = await freePorts(1);
  stack = await LiveStack.start({ JR_JOIN_PORT: String(port) });
  const asContainer = ['setpriv', '--bounding-set', '-net_admin,-sys_ptrace'];
  const worker = await TestWorker.start(stack, joinToken(stack), {}, undefined, asContainer);
  await worker.ready();
});
afterAll(async () => {
  await TestWorker.removeAll();
  await stack.remove();
});

const onWorker = { partition: 'workers' };

test('a job above its memory limit is killed on a worker, too', async () => {
  const hog = await stack.shell('x=$(head -c 600M /dev/zero | tr "\\0" x); sleep 30', {
    ...onWorker,
    mem_gb: 0.1,
  });
  expect(hog).toMatchObject({ status: 'FAILED', failure: 'out_of_memory' });
});

test('a job that holds connections to the daemons of a worker is ended', async () => {
  const hold = 'push @held, IO::Socket::INET->new("127.0.0.1:$ARGV[0]") for 1 .. 2000; sleep 600';
  const command = `ulimit -n $(ulimit -Hn)
    port=$(sed -n 's/^SlurmdPort=//p' "$SLURM_CONF")
    exec perl -MIO::Socket::INET -e '${hold}' "$port"`;
  expect(await stack.shell(command, onWorker)).toMatchObject({
    status: 'FAILED',
    failure: 'user_code',
    message: expect.stringMatching(/^held \d+ connections to slurmd and was ended/) as unknown,
  });
  expect(await stack.shell('echo next', onWorker)).toMatchObject({ log: 'next\n' });
});
