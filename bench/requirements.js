import { existsSync } from 'node:fs';
import process from 'node:process';
import { URL, fileURLToPath } from 'node:url';
import { execa } from 'execa';

/** A missing requirement; its message is one line for the person who started the benchmark. */
export class RequirementError extends Error {}

export const mainJs = fileURLToPath(new URL('../dist/main.js', import.meta.url));

/** A root shell's PATH may lack the folder of nginx and slurmd. */
export const searchPath = `${process.env.PATH ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`;

/** @throws RequirementError that names the missing program and how to install it */
export async function checkRequirements() {
  if (process.getuid?.() !== 0)
    throw new RequirementError('run it as root: it starts a whole stack, each daemon as its user');
  if (!existsSync(mainJs))
    throw new RequirementError('dist/main.js is missing: run ./run.sh --install first');
  for (const program of ['sbatch', 'slurmctld', 'supervisord'])
    await ensureInstalled(program, 'run ./run.sh --install first');
  await ensureInstalled('curl', 'run apt-get install curl');
  await ensureInstalled('tar', 'run apt-get install tar');
  await ensureInstalled('xz', 'run apt-get install xz-utils');
  await ensureInstalled('sshd', 'the SSH hosts are its; run apt-get install openssh-server');
  await ensureInstalled(
    'nginx',
    'it is the rival in the upload and download figures; run apt-get install nginx-light',
  );
  const { stderr } = await execa('nginx', ['-V'], { env: { PATH: searchPath } });
  if (!stderr.includes('http_dav_module'))
    throw new RequirementError(
      'this nginx has no http_dav_module, which stores uploads; run apt-get install nginx-light',
    );
}

/**
 * @param {string} program
 * @param {string} remedy
 */
async function ensureInstalled(program, remedy) {
  const { failed } = await execa('sh', ['-c', 'command -v "$0"', program], {
    env: { PATH: searchPath },
    reject: false,
  });
  if (failed) throw new RequirementError(`${program} is not installed: ${remedy}`);
}
