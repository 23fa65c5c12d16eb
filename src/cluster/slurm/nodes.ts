import { formatOf, readRows } from './columns.js';
import { wordOrNull } from './job-record.js';

export interface SlurmNode {
  name: string;
  /** Slurm's word in lower case with any flag: `idle`, `mixed`, `drained`, `down*`. */
  state: string;
  partition: string;
  cpus: number;
  cpusAllocated: number;
  memoryMb: number;
  memoryAllocatedMb: number;
  /** GRES as Slurm writes it, such as `gpu:nvidia0:1,gpu:nvidia1:1`; null for none. */
  gres: string | null;
  gresUsed: string | null;
  /** Reason why the node is drained or down. */
  reason: string | null;
}

const columns = [
  ['NodeList', 40],
  ['Partition', 40],
  ['StateLong', 24],
  ['CPUsState', 40],
  ['Memory', 20],
  ['AllocMem', 20],
  ['Gres', 2000],
  ['GresUsed', 2000],
  ['Reason', 200],
] as const;

export function nodeArguments(): string[] {
  return ['--noheader', '--Node', formatOf(columns)];
}

/** @throws Error on a line that cannot be read. */
export function parseNodes(output: string): SlurmNode[] {
  return readRows(columns, output).map((cell) => {
    // allocated/idle/other/total
    const cpus = /^(\d+)\/(\d+)\/(\d+)\/(\d+)$/.exec(cell.CPUsState);
    if (cell.NodeList === '' || cpus === null)
      throw new Error(`sinfo printed a line that cannot be read: ${cell.line.trim()}`);
    return {
      name: cell.NodeList,
      state: cell.StateLong,
      partition: cell.Partition,
      cpus: Number(cpus[4]),
      cpusAllocated: Number(cpus[1]),
      memoryMb: Number(cell.Memory),
      memoryAllocatedMb: Number(cell.AllocMem),
      gres: wordOrNull(cell.Gres),
      gresUsed: wordOrNull(cell.GresUsed),
      reason: wordOrNull(cell.Reason === 'none' ? '' : cell.Reason),
    };
  });
}
