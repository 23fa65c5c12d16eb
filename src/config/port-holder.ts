import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { errnoOf } from '../errors.js';

/** A process that listens at a port. */
export interface PortHolder {
  pid: number;
  /** The file name of its program. */
  program: string;
}

/** TCP_LISTEN in the column `st` of /proc/net/tcp. */
const listening = '0A';

/**
 * Finds a process that listens at that TCP port on this machine, whatever the address. Returns
 * undefined if there is none, or if this user may not see it: only root sees the open files of
 * other users' processes (proc_pid_fd(5)).
 */
export function holderOf(port: number): PortHolder | undefined {
  const inodes = new Set(['tcp', 'tcp6'].flatMap((table) => inodesOf(table, port)));
  if (inodes.size === 0) return undefined;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    if (socketsOf(pid).some((inode) => inodes.has(inode)))
      return { pid: Number(pid), program: programOf(pid) };
  return undefined;
}

/** Reads the inodes of the sockets that listen at that port; see proc_net_tcp in proc_net(5). */
function inodesOf(table: string, port: number): string[] {
  const lines = readable(() => readFileSync(`/proc/net/${table}`, 'utf8')) ?? '';
  return lines.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
    const isOurs = state === listening && parseInt(local.split(':')[1] ?? '', 16) === port;
    return isOurs && inode !== undefined ? [inode] : [];
  });
}

function socketsOf(pid: string): string[] {
  const folder = `/proc/${pid}/fd`;
  return (readable(() => readdirSync(folder)) ?? []).flatMap((fd) => {
    const target = readable(() => readlinkSync(`${folder}/${fd}`)) ?? '';
    return /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? [];
  });
}

function programOf(pid: string): string {
  const path = readable(() => readlinkSync(`/proc/${pid}/exe`)) ?? 'unknown program';
  return basename(path)
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, 60);
}

/** Reads a file below /proc; undefined if the process has ended, or belongs to another user. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}
