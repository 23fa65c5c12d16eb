import type { SshHost } from '../../cluster/ssh-hosts/hosts.js';
import { SshError } from './ssh/errors.js';
import type { Link } from './ssh/link.js';

/** A host's memory and GPUs, as the host itself reports them. */
export interface Capacity {
  memoryMb: number;
  /** Memory in MiB and model of each usable GPU. */
  gpus: { memoryMb: number; model: string }[];
  /** The words of nvidia-smi about GPUs that cannot be used; null if it has no complaint. */
  gpuFault: string | null;
}

/** The resources of a host that its file claims. */
export type Claimed = Pick<SshHost, 'gpus' | 'memory_gb'>;

/** Fraction of a claim that suffices: a driver and a kernel keep some for themselves. */
const enough = 0.93;
const maxWords = 200;
/** The most lines that are read: the words come from another machine. */
const maxLines = 128;
const maxModel = 64;
/** Exit code of timeout(1). */
const timedOut = 124;

/**
 * Reads the answer of `nvidia-smi --query-gpu=memory.total,name --format=csv,noheader,nounits`.
 * @param code its exit code; null where there is no nvidia-smi
 * @param lines both its streams
 */
export function readGpus(
  code: number | null,
  lines: readonly string[],
): Pick<Capacity, 'gpus' | 'gpuFault'> {
  const said = lines
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(0, maxLines);
  const rows = said.map((line) => /^(\d+),\s*(.+)$/.exec(line));
  const gpus = rows.flatMap((row) =>
    row?.[2] === undefined ? [] : [{ memoryMb: Number(row[1]), model: row[2].slice(0, maxModel) }],
  );
  if (code === null) return { gpus, gpuFault: null };
  if (code === timedOut) return { gpus: [], gpuFault: 'nvidia-smi does not answer' };
  // A lost GPU has a row without figures, also where the exit code is 0.
  const words = said.find((_, index) => rows[index] === null);
  if (words === undefined && code === 0) return { gpus, gpuFault: null };
  const plain = (words ?? `exit code ${code}`)
    .replace(/[^ -~]+/g, ' ')
    .replace(/[. ]+$/, '')
    .slice(0, maxWords);
  return { gpus, gpuFault: `nvidia-smi says: ${plain}` };
}

/** Parses the output of `capacity` of libexec/ssh-host.sh; undefined for another answer. */
export function readCapacity(printed: Buffer): Capacity | undefined {
  const [kib = '', code = '', words, end] = printed.toString().split('\0');
  if (!/^\d+$/.test(kib) || !/^\d*$/.test(code) || words === undefined || end === undefined)
    return undefined;
  return {
    memoryMb: Math.floor(Number(kib) / 1024),
    ...readGpus(code === '' ? null : Number(code), words.split('\n')),
  };
}

/** Returns whether the host has less memory than its file claims. */
export function lacksMemory({ memory_gb: claimed }: Claimed, { memoryMb }: Capacity): boolean {
  return memoryMb < claimed * 1024 * enough;
}

/** Returns whether the host has fewer or smaller usable GPUs than its file claims. */
export function lacksGpus({ gpus: claimed }: Claimed, { gpus }: Capacity): boolean {
  const { count, memory_gb: gb } = claimed;
  const isSmall = ({ memoryMb }: { memoryMb: number }) => memoryMb < gb * 1024 * enough;
  return gpus.length < count || gpus.slice(0, count).some(isSmall);
}

/**
 * Asks the host why it cannot run the jobs that its file promises; null if it can.
 * @throws SshError
 */
export async function askWhyTooSmall(link: Link, signal: AbortSignal): Promise<string | null> {
  const capacity = readCapacity(await link.call(['capacity'], { signal }));
  if (capacity === undefined)
    throw new SshError('other', `SSH host ${link.host.name}: its answer cannot be understood`);
  return whyTooSmall(link.host, capacity);
}

/** Explains why a host cannot run the jobs that its file promises; null if it can. */
export function whyTooSmall(claimed: Claimed, found: Capacity): string | null {
  const { count, memory_gb: gb } = claimed.gpus;
  if (lacksGpus(claimed, found))
    return `${found.gpuFault ?? `has ${describeGpus(found)}`}; the hosts file says ${count} of ${gb} GiB`;
  if (lacksMemory(claimed, found))
    return `has ${gib(found.memoryMb)} of memory; the hosts file says ${claimed.memory_gb} GiB`;
  return null;
}

/** Describes the usable GPUs of a host, such as `2 GPUs (NVIDIA H100, 80.0 GiB)`. */
export function describeGpus({ gpus }: Pick<Capacity, 'gpus'>): string {
  if (gpus.length === 0) return 'no GPU';
  const models = [...new Set(gpus.map((gpu) => gpu.model))].join(', ');
  const smallest = Math.min(...gpus.map((gpu) => gpu.memoryMb));
  return `${gpus.length} ${gpus.length === 1 ? 'GPU' : 'GPUs'} (${models}, ${gib(smallest)})`;
}

function gib(mib: number): string {
  return `${(mib / 1024).toFixed(1)} GiB`;
}
