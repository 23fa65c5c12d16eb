import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RemoteJobs, until } from './remote-jobs.js';
import { SshWorld } from './ssh-servers.js';

jest.setTimeout(60_000);

let world: SshWorld;
let jobs: RemoteJobs;

beforeAll(async () => {
  world = await SshWorld.start();
  jobs = await RemoteJobs.start(world);
}, 60_000);

afterAll(async () => {
  await jobs.close();
  await world.close();
}, 60_000);

const shell = (command: string, more = {}) => ({ request: { command, ...more } });

/** What the jobs of all installations have on a target. */
function jobFolders(target = world.targets[0]): string[] {
  const folder = join(target.home, 'jobrunner/jobs');
  return existsSync(folder)
    ? readdirSync(folder).flatMap((name) => readdirSync(join(folder, name)))
    : [];
}

describe('a job on an SSH host behind a jump host', () => {
  test('its output, standard error, exit code and files come here, and nothing stays there', async () => {
    const ended = await jobs.run(
      shell(
        'echo one; echo two >&2; mkdir -p a/b; echo weights >a/b/model.pt; ln -s b/model.pt a/last; : >empty; whoami; pwd; exit 7',
      ),
    );
    expect(ended).toMatchObject({ code: 7, signal: null, stderr: 'two\n' });
    expect(ended.log.split('\n').slice(0, 3)).toEqual(['one', 'two', world.targets[0].user]);
    expect(readFileSync(join(ended.outputs, 'a/last'), 'utf8')).toBe('weights\n');
    expect(readdirSync(ended.outputs).sort()).toEqual(['a', 'empty']);
    expect(jobFolders()).toEqual([]);
    await until(
      () => world.targets[0].processes().length === 0,
      () => 'the last process there to end',
    );
  });
});
