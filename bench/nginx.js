import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePorts } from '../test/free-ports.js';
import { searchPath } from './requirements.js';

/**
 * The competitor in moving bytes: one worker, as JobRunner has one process; stores with PUT, serves
 * with sendfile.
 */
export class Nginx {
  /**
   * @param {string} url
   * @param {string} store the folder it stores to and serves from
   */
  constructor(url, store) {
    this.url = url;
    this.store = store;
  }

  /** @param {import('./workspace.js').Workspace} workspace */
  static async start(workspace) {
    workspace.say('  starting nginx');
    const folder = await workspace.folder('nginx');
    const [port = 0] = await freePorts(1);
    const store = join(folder, 'store');
    const nobody = await idsOf(workspace, 'nobody');
    for (const path of [store, join(folder, 'body')]) {
      await mkdir(path);
      await chown(path, nobody.uid, nobody.gid);
    }
    const conf = join(folder, 'nginx.conf');
    const log = join(folder, 'error.log');
    await writeFile(conf, configuration(folder, port));
    const child = spawn('nginx', ['-p', folder, '-c', conf, '-e', log], {
      // A session of its own, so that Ctrl-C reaches only us, and we stop it.
      detached: true,
      env: { PATH: searchPath },
      stdio: 'ignore',
    });
    workspace.defer(async () => {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    });
    await once(child, 'spawn');
    while (!(await accepts(port))) {
      if (child.exitCode !== null)
        throw new Error(`nginx ended with ${child.exitCode}: ${await readFile(log, 'utf8')}`);
      await delay(20, undefined, { signal: workspace.signal });
    }
    return new Nginx(`http://127.0.0.1:${port}`, store);
  }
}

/**
 * @param {string} folder
 * @param {number} port
 */
function configuration(folder, port) {
  return `daemon off;
user nobody nogroup;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 64; }
http {
  access_log off;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  client_max_body_size 0;
  # Beside the store, so that a stored body is renamed and not copied.
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port};
    root ${folder}/store;
    location / { dav_methods PUT DELETE; }
  }
}
`;
}

/** @param {number} port */
function accepts(port) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
      if (error.code === 'ECONNREFUSED') resolve(false);
      else reject(error);
    });
  });
}

/**
 * @param {import('./workspace.js').Workspace} workspace
 * @param {string} user
 */
export async function idsOf(workspace, user) {
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => Number((await workspace.run('id', [flag, user])).stdout)),
  );
  return { uid: uid ?? 0, gid: gid ?? 0 };
}
