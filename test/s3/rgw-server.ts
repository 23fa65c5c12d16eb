import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { packageRoot } from '../../src/config/package-root.js';
import { freePorts } from '../free-ports.js';

export interface Keys {
  keyId: string;
  appKey: string;
}

/** A Ceph RGW for one test; see test/s3-up.sh. */
export interface RgwServer {
  port: number;
  owner: Keys;
  /** A second user, who owns nothing. */
  other: Keys;
  /** Runs a verb of test/s3-up.sh. */
  run: (verb: string) => Promise<void>;
  stop: () => Promise<void>;
}

export async function startRgw(): Promise<RgwServer> {
  const dir = await mkdtemp(join(tmpdir(), 'jr-s3-'));
  const [port = 0, monPort = 0] = await freePorts(2);
  const env = {
    S3_DIR: dir,
    S3_PORT: String(port),
    MON_PORT: String(monPort),
    OSD_GB: '4',
    S3_OWNER_PID: String(process.pid),
  };
  const script = join(packageRoot, 'test/s3-up.sh');
  const run = async (verb: string) => (await execa(script, [verb], { env })).stdout;
  const stop = async () => {
    await run('down');
    await rm(dir, { recursive: true });
  };
  try {
    const exports = await run('up');
    const value = (name: string) =>
      new RegExp(`\\b${name}=(\\S+)`).exec(exports)?.[1] ?? fail(`no ${name} in: ${exports}`);
    return {
      port,
      owner: { keyId: value('AWS_ACCESS_KEY_ID'), appKey: value('AWS_SECRET_ACCESS_KEY') },
      other: { keyId: value('S3_OTHER_KEY_ID'), appKey: value('S3_OTHER_SECRET') },
      run: async (verb) => void (await run(verb)),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function fail(message: string): never {
  throw new Error(message);
}
