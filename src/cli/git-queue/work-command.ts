import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { readGitQueueCommand } from '../../config/git-queue.js';
import { withQueue } from './edit.js';
import { inRepository, type QueueOptions } from './open-queue.js';
import { Runner } from './runner.js';
import { runnerLog } from './runner-log.js';

export interface WorkOptions extends QueueOptions {
  resultsDir?: string;
  maxJobAttempts?: number;
  maxAttempts?: number;
  sleep?: number;
  lease: number;
  python: string;
  allowOutside?: boolean;
  maxResultMb: number;
  worker?: string;
  logFile?: string;
  debug?: boolean;
}

const MB = 1024 ** 2;

/**
 * Works until no job is left or a signal comes; then it ends the running job and gives it back.
 * @returns the number of jobs that failed here for good
 */
export async function workOnQueue(options: WorkOptions): Promise<number> {
  const config = readGitQueueCommand();
  let failedCount = 0;
  await withQueue(options, false, async ({ queue, clone }) => {
    const log = runnerLog({ debug: options.debug ?? false, file: options.logFile });
    const given = options.resultsDir ?? config.resultsDir;
    const isOutside =
      isAbsolute(given) && (clone === undefined || relative(clone, given).startsWith('..'));
    if (isOutside) await mkdir(given, { recursive: true });
    const results = isOutside
      ? { outside: given }
      : { inside: inRepository('--results-dir', given, clone) };
    const name = options.worker ?? `${config.hostname}-${randomBytes(4).toString('hex')}`;
    const settings = {
      runner: name,
      sleepSeconds: options.sleep ?? config.sleepSeconds,
      maxAttempts: options.maxAttempts ?? config.maxAttempts,
      maxJobAttempts: Math.max(1, options.maxJobAttempts ?? config.maxJobAttempts),
      leaseMs: options.lease * 60_000,
      python: options.python,
      results,
      limits: { fileBytes: options.maxResultMb * MB, totalBytes: 100 * MB, files: 1000 },
      largeResults: join(config.cacheFolder, 'large-results'),
      outside: options.allowOutside ? (clone ?? process.cwd()) : undefined,
      env: config.env,
    };
    const runner = new Runner(queue, settings, log);
    const stop = stopper(runner, log.warn);
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    for (const signal of signals) process.on(signal, stop);
    try {
      log.info(
        `${name}: working on ${queue.parts.queueFile} of ${queue.parts.repository.shownUrl}`,
      );
      await runner.run();
      ({ failedCount } = runner);
      if (failedCount > 0)
        log.warn(`${failedCount} ${failedCount === 1 ? 'job' : 'jobs'} failed here; exit code 1`);
      const { taken, refused } = queue.pushes;
      log.debug(`pushes: ${taken} taken, ${refused} refused`);
    } finally {
      for (const signal of signals) process.off(signal, stop);
    }
  });
  return failedCount;
}

function stopper(runner: Runner, warn: (text: string) => void) {
  let times = 0;
  return (signal: NodeJS.Signals) => {
    if (++times > 1) {
      warn('ending at once; another runner may claim the job when its lease expires');
      process.exit(130);
    }
    warn(`${signal}: ending the job and giving it back`);
    runner.stop();
  };
}
