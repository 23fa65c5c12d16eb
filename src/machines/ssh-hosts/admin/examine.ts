import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SshHost } from '../../../cluster/ssh-hosts/hosts.js';
import { shellQuote } from '../../../jobs/script/shell-quote.js';
import { packageRoot } from '../../../config/package-root.js';
import { describeGpus, lacksGpus, lacksMemory, readGpus, type Capacity } from '../capacity.js';
import { CredentialError } from '../identity-file.js';
import { SshError, sshError } from '../ssh/errors.js';
import type { Visit } from './visit.js';

/** A host's report about itself. */
export interface Found extends Capacity {
  cpus: number;
  diskFreeBytes: number;
  /** Seconds by which its clock is ahead of ours. */
  clockSkewSeconds: number;
  /** Missing programs. */
  missing: string[];
}

const script = readFileSync(join(packageRoot, 'libexec', 'examine-host.sh'), 'utf8');

/** Logs in and examines the host. @returns its report, or why there is none */
export async function examine(
  host: SshHost,
  visit: Visit,
): Promise<Found | SshError | CredentialError> {
  try {
    return await ask(host, visit);
  } catch (error) {
    if (error instanceof CredentialError) return error;
    throw error;
  }
}

async function ask(host: SshHost, visit: Visit): Promise<Found | SshError> {
  const input = `workdir=${shellQuote(host.workdir)}\n${script}`;
  const before = Date.now();
  const { resolved, code, stdout, stderr } = await visit.call(host, [], 'exec sh -s', input);
  const rows = [...stdout.matchAll(/^jobrunner:(\w+):(.*)$/gm)].map(([, key, value]) => ({
    key,
    value: (value ?? '').trim(),
  }));
  const all = (key: string) => rows.filter((row) => row.key === key).map((row) => row.value);
  if (code !== 0 || all('done').length === 0) return sshError(resolved, code, stderr);
  const number = (key: string) => Number(all(key)[0] ?? 0);
  // Half of the round trip, at most, is not its clock's error.
  const now = (before + Date.now()) / 2000;
  const [smi] = all('smi');
  return {
    cpus: number('cpus'),
    memoryMb: Math.floor(number('memory') / 1024),
    ...readGpus(smi === undefined ? null : Number(smi), all('gpu')),
    diskFreeBytes: number('disk') * 1024,
    clockSkewSeconds: number('clock') - now,
    missing: all('missing'),
  };
}

/** The result of one check. `warning`: jobs can run nevertheless. */
export interface Verdict {
  check: string;
  result: 'ok' | 'warning' | 'fails';
  detail: string;
}

const lowDiskBytes = 5 * 1024 ** 3;
const maxSkewSeconds = 5;

/** Compares the findings with the file's figures for the host. */
export function judgeHost(host: SshHost, found: Found | SshError | CredentialError): Verdict[] {
  if (found instanceof CredentialError)
    return [{ check: 'login', result: 'fails', detail: found.message }];
  if (found instanceof SshError) {
    const check = { host_key: 'host key', denied: 'login', folder: 'workdir' }[
      found.fault as string
    ];
    return [{ check: check ?? 'reach', result: 'fails', detail: found.message }];
  }
  const gib = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
  const verdict = (check: string, result: Verdict['result'], detail: string): Verdict => ({
    check,
    result,
    detail,
  });
  const { clockSkewSeconds: skew, gpuFault } = found;
  const lacks = lacksGpus(host, found);
  const { count, memory_gb: gpuGb } = host.gpus;
  const claim = `the file says ${count === 0 ? 'none' : `${count} of ${gpuGb} GiB`}`;
  return [
    verdict('reach', 'ok', `${host.user}@${host.host}:${host.port}`),
    verdict('host key', 'ok', 'matches known_hosts'),
    verdict('login', 'ok', host.identity_file ?? host.password_variable ?? ''),
    found.missing.length > 0
      ? verdict('tools', 'fails', `not there: ${found.missing.join(', ')}`)
      : verdict('tools', 'ok', 'all are installed'),
    verdict(
      'disk',
      found.diskFreeBytes < lowDiskBytes ? 'warning' : 'ok',
      `${gib(found.diskFreeBytes)} free at ${host.workdir}`,
    ),
    verdict(
      'clock',
      Math.abs(skew) > maxSkewSeconds ? 'warning' : 'ok',
      `${Math.abs(skew) < 1 ? 'less than 1' : Math.abs(skew).toFixed(0)} s off`,
    ),
    verdict(
      'CPUs',
      found.cpus < host.cpus ? 'warning' : 'ok',
      `${found.cpus}; the file says ${host.cpus}`,
    ),
    verdict(
      'memory',
      lacksMemory(host, found) ? 'fails' : 'ok',
      `${gib(found.memoryMb * 1024 ** 2)}; the file says ${host.memory_gb} GiB`,
    ),
    verdict(
      'GPUs',
      lacks ? 'fails' : gpuFault === null ? 'ok' : 'warning',
      [describeGpus(found), gpuFault, claim].filter((text) => text !== null).join('; '),
    ),
  ];
}
