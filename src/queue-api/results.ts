import pLimit from 'p-limit';
import type { Job } from '../jobs/job.js';
import type { JobFolders } from '../jobs/job-folders.js';
import { openLog, type LogStream } from '../jobs/log-file.js';

/** Maximum of bytes shown of each log; the end tells how the job went. */
const maxBytes = 10 * 1024 ** 2;

/** Two at a time: each takes several times its size in memory. */
const oneAtATime = pLimit(2);

export interface JobOutput {
  stdout: string;
  stderr: string;
  /** Whether the beginning was left out. */
  stdout_truncated: boolean;
  stderr_truncated: boolean;
}

/** Reads the job’s output so far. @throws AppError as {@link openLog} does */
export function outputOf(folders: JobFolders, job: Job): Promise<JobOutput> {
  return oneAtATime(async () => {
    const stdout = await endOf(folders, job, 'stdout');
    const stderr = await endOf(folders, job, 'stderr');
    return {
      stdout: stdout.text,
      stderr: stderr.text,
      stdout_truncated: stdout.isCut,
      stderr_truncated: stderr.isCut,
    };
  });
}

async function endOf(folders: JobFolders, job: Job, stream: LogStream) {
  const log = await openLog(folders, job, stream, {});
  if (log.handle === undefined) return { text: '', isCut: false };
  try {
    const isCut = log.size > maxBytes;
    const length = Math.min(log.size, maxBytes);
    const bytes = Buffer.alloc(length);
    const { bytesRead } = await log.handle.read(bytes, 0, length, log.size - length);
    let from = 0;
    // Start at a whole character: bytes after its first are 10xxxxxx (RFC 3629).
    while (isCut && from < 3 && ((bytes[from] ?? 0) & 0xc0) === 0x80) from++;
    return { text: bytes.toString('utf8', from, bytesRead), isCut };
  } finally {
    await log.handle.close();
  }
}
