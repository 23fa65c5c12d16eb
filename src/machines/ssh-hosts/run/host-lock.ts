import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Waits until no other process here holds the lock, and holds it; the end of this process, however it comes, gives it back.
 * @param path of a file of ours, which is made
 * @returns what gives it back
 */
export async function hostLock(path: string, signal: AbortSignal): Promise<() => void> {
  signal.throwIfAborted();
  // Node has no flock(2). The child holds it as long as we keep its input open.
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
