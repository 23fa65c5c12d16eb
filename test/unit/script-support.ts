import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobId, JobRequest } from '../../src/jobs/job.js';
import { requestDefaults } from '../../src/jobs/request.js';
import { renderScript, type ScriptParts } from '../../src/jobs/script/script.js';

export const plainRequest: JobRequest = {
  ...requestDefaults,
  command_key: 'test',
  gpus: 0,
  mem_gb: 1,
  time_limit: '1:00',
  name: 'test',
};

/** The GPUs of a machine whose container was given GPUs 3, 5 and so on. */
export function fleetOf(count: number): ScriptParts['fleet'] {
  const gpus = Array.from({ length: count }, (_, index) => ({
    index,
    device: `/dev/null`,
    uuid: `GPU-${2 * index + 3}`,
    model: 'x',
    memoryMb: 80,
  }));
  return { gpus, shardsPerGpu: 100, gpuType: 'nvidia' };
}

const plainTemplate: ScriptParts['template'] = {
  commandKey: 'test',
  folder: '/templates/test',
  body: 'true',
  description: '',
  dataset: 'optional',
  command: 'none',
  script: 'none',
  args: 'optional',
  params: { type: 'object' },
};

/** Renders a script, with plain defaults. */
export function scriptOf(parts: Partial<ScriptParts>): string {
  return renderScript({
    jobId: 7 as JobId,
    experimentId: 'job-7',
    request: plainRequest,
    commonEnv: {},
    template: plainTemplate,
    dataset: undefined,
    outputDir: '/outputs',
    logDir: '/logs',
    scriptPath: undefined,
    screenDir: '/screens',
    fleet: fleetOf(0),
    ...parts,
  });
}

/**
 * Runs a rendered script with the real bash, its streams in files as Slurm opens them. @param env
 * the variables that Slurm would set
 */
export function runScript(
  parts: Partial<ScriptParts>,
  body: string,
  env: Record<string, string> = {},
): { status: number | null; stdout: string; stderr: string } {
  const isSplit = parts.request?.split_log === true;
  const folder = mkdtempSync(join(tmpdir(), 'jr-script-'));
  try {
    const screenDir = join(folder, 'screen');
    execFileSync('install', ['-d', '-m', '0700', screenDir]);
    const template = { ...plainTemplate, body };
    const paths = { outputDir: folder, logDir: folder, screenDir };
    const script = scriptOf({ template, ...paths, ...parts });
    // A file, as with Slurm: screen cannot reopen its log if it is a socket, like Node's pipes.
    const log = openSync(join(folder, 'stdout'), 'a+');
    const errors = isSplit ? openSync(join(folder, 'stderr'), 'a') : log;
    const { status, error } = spawnSync('/bin/bash', ['-s'], {
      input: script,
      env: { PATH: '/usr/bin:/bin', ...env },
      cwd: folder,
      stdio: ['pipe', log, errors],
    });
    closeSync(log);
    if (isSplit) closeSync(errors);
    if (error) throw error;
    const read = (name: string) => readFileSync(join(folder, name), 'utf8');
    return { status, stdout: read('stdout'), stderr: isSplit ? read('stderr') : '' };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
