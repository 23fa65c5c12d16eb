/** A host's report about itself at each call. */
export interface HostFacts {
  /** Absolute, without links. */
  workdir: string;
  home: string;
  user: string;
  /** Changes with each boot. */
  bootId: string;
  /** Seconds by which its clock is ahead of ours. */
  clockSkew: number;
  /** Bytes that its user may still write below the working folder. */
  diskFree: number;
}

/** Parses the output of `hello` of libexec/ssh-host.sh; undefined while it is incomplete. */
export function readFacts(printed: Buffer, now = Date.now()): HostFacts | undefined {
  const [workdir, home, user, bootId, time, disk, end] = printed.toString().split('\0');
  // df -P: device, 1024-byte blocks, used, available, percent, mount point.
  const free = /\s(\d+)\s+(\d+)\s+(-?\d+)\s+\S+%\s/.exec(disk ?? '')?.[3];
  if (!workdir?.startsWith('/') || !home || !user || !bootId || !Number(time) || end === undefined)
    return undefined;
  return {
    workdir,
    home,
    user,
    bootId,
    clockSkew: Number(time) - now / 1000,
    diskFree: free === undefined ? 0 : Number(free) * 1024,
  };
}
