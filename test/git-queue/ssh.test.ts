import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { claimJob } from '../../src/ingest/git-queue/transitions.js';
import { runGit } from '../../src/ingest/git-queue/git.js';
import { Queue } from '../../src/ingest/git-queue/queue.js';
import { readyJobs } from '../../src/ingest/git-queue/queue-state.js';
import { Repository } from '../../src/ingest/git-queue/repository.js';
import { serviceGit } from '../../src/ingest/git-queue/transport.js';
import { SshWorld } from '../remote/ssh-servers.js';
import { jobScript, QueueRepo, queueText } from './queue-repo.js';

let world: SshWorld;
let repo: QueueRepo;
let url: string;
let knownHosts: string;

beforeAll(async () => {
  world = await SshWorld.start();
  repo = new QueueRepo({ 'queue.csv': queueText(['a', 'b', 'c']), 'job.py': jobScript });
  const { jump } = world;
  const there = join(jump.home, 'queue.git');
  execFileSync('cp', ['-r', repo.bare, there]);
  execFileSync('chown', ['-R', `${jump.user}:`, there]);
  url = `ssh://${jump.user}@${jump.address}${there}`;
  knownHosts = join(repo.folder, 'known_hosts');
  writeFileSync(knownHosts, `${jump.knownHost}\n`);
});

afterAll(async () => {
  repo.remove();
  await world.close();
});

async function open(name: string, credentials: { sshKeyFile?: string; knownHostsFile?: string }) {
  const home = join(repo.folder, name);
  mkdirSync(home);
  const askpass = '/bin/false';
  const git = serviceGit({ url, home, askpass, credentials, mayUseFiles: false });
  const gitDir = join(home, 'copy.git');
  await runGit(git, ['init', '--quiet', '--bare', gitDir]);
  const repository = new Repository({ git, url, branch: 'main', gitDir, shallow: true, name });
  const by = { name, email: `${name}@localhost` };
  return new Queue({ repository, queueFile: 'queue.csv', by, now: Date.now });
}

test('servers that claim at once over SSH get one job each, never the same one', async () => {
  const names = ['one', 'two', 'three', 'four'];
  const credentials = { sshKeyFile: world.key, knownHostsFile: knownHosts };
  const queues = await Promise.all(names.map((name) => open(name, credentials)));
  const claim = async (queue: Queue, runner: string) => {
    const handle = { worker: runner, nonce: runner.repeat(4), leaseUntil: Date.now() + 600_000 };
    let key: string | undefined;
    const result = await queue.change((state) => {
      // All want the first job.
      key = readyJobs(state)[0]?.key;
      return key === undefined
        ? { result: 'lost' as const }
        : claimJob(state, key, undefined, handle, Date.now());
    });
    return result === 'won' ? key : undefined;
  };
  const keys = await Promise.all(queues.map((queue, i) => claim(queue, names[i] ?? '')));
  expect(new Set(keys.filter((key) => key !== undefined)).size).toBe(3);
  expect(keys.filter((key) => key === undefined)).toHaveLength(1);
  const [queue] = queues;
  const state = await queue?.look();
  expect(state?.file.rows.map(({ status }) => status)).toEqual(['running', 'running', 'running']);
});

test('a host with an unknown or changed key is not contacted', async () => {
  const unknown = await open('unknown', { sshKeyFile: world.key });
  await expect(unknown.look()).rejects.toThrow(/Host key verification failed/);
  const other = join(repo.folder, 'other_hosts');
  const [target] = world.targets;
  const [, type, key] = target.knownHost.split(' ');
  writeFileSync(other, `${world.jump.address} ${type} ${key}\n`);
  const changed = await open('changed', { sshKeyFile: world.key, knownHostsFile: other });
  await expect(changed.look()).rejects.toThrow(/Host key verification failed/);
});

test('without the key there is an error and no prompt', async () => {
  const queue = await open('nobody', { knownHostsFile: knownHosts });
  await expect(queue.look()).rejects.toThrow(/Permission denied/);
});
