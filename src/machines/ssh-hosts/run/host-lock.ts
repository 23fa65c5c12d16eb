import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Waits until no other local process holds the lock, and takes it. The end of this process, however
 * it comes, releases it.
 * @param path of a file of ours, which is made
 * @returns a function that releases it
 */
export async function hostLock(path: string, signal: AbortSignal): Promise<() => void> {
  signal.throwIfAborted();
  // Node has no flock(2). The child holds the lock while we keep its input open.
  const child = spawn('flock', ['--no-fork', path, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: '/usr/bin:/bin' },
  });
  const stop = () => child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  try {
    const exit = once(child, 'exit').then(([code]) => {
      signal.throwIfAborted();
      throw new Error(`flock ${path} ended with ${String(code)}`);
    });
    await Promise.race([once(child.stdout, 'data'), exit]);
    exit.catch(() => undefined);
  } finally {
    signal.removeEventListener('abort', stop);
  }
  return stop;
}
