import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { packageRoot } from '../../src/config/package-root.js';
import { freePorts } from '../free-ports.js';
import { until } from '../until.js';

/** The address from which the tests call: one of this machine that no proxy has. */
export const clientAddress = '127.0.0.7';

/** The one block of that language on the page. */
async function blockOf(language: string): Promise<string> {
  const page = await readFile(join(packageRoot, 'docs', 'behind-a-proxy.md'), 'utf8');
  const blocks = [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))];
  const [block] = blocks;
  if (blocks.length !== 1 || block?.[1] === undefined)
    throw new Error(`the page has ${blocks.length} blocks of ${language}, expected one`);
  return block[1];
}

/** Replaces what differs here. @throws Error when the text is not there just once */
function put(block: string, changes: Record<string, string>): string {
  return Object.entries(changes).reduce((text, [from, to]) => {
    const parts = text.split(from);
    if (parts.length !== 2)
      throw new Error(`${from} stands ${parts.length - 1} times in the block`);
    return parts.join(to);
  }, block);
}

/** A proxy as the page describes it, on ports of its own. */
export class Proxy {
  private constructor(
    readonly url: string,
    readonly certificate: string | undefined,
    readonly folder: string,
    readonly child: ChildProcess,
  ) {}

  static async nginx(apiPort: number): Promise<Proxy> {
    const folder = await mkdtemp(join(tmpdir(), 'jr-nginx-'));
    const [port = 0] = await freePorts(1);
    const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    await execa('openssl', [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1'],
      ...['-subj', '/CN=jobs.example.com', '-addext', 'subjectAltName=DNS:jobs.example.com'],
      ...['-keyout', key, '-out', certificate],
    ]);
    const server = put(await blockOf('nginx'), {
      'listen 443 ssl': `listen 127.0.0.1:${port} ssl`,
      '127.0.0.1:8080': `127.0.0.1:${apiPort}`,
      '/etc/ssl/jobs.example.com.pem': certificate,
      '/etc/ssl/jobs.example.com.key': key,
    });
    const file = join(folder, 'nginx.conf');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((kind) => `${kind}_temp_path ${folder}/${kind};`)
      .join('\n');
    await writeFile(
      file,
      `daemon off; pid ${folder}/pid; error_log stderr; events {}
       http { access_log off; ${temporary}\n${server}}`,
    );
    const child = spawn('/usr/sbin/nginx', ['-p', folder, '-c', file], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    return Proxy.#answering(`https://127.0.0.1:${port}`, certificate, folder, child);
  }

  static async caddy(apiPort: number): Promise<Proxy> {
    const folder = await mkdtemp(join(tmpdir(), 'jr-caddy-'));
    const [port = 0] = await freePorts(1);
    // Without the name, Caddy asks no authority for a certificate.
    const site = put(await blockOf('caddy'), {
      'jobs.example.com': `http://:${port}`,
      '127.0.0.1:8080': `127.0.0.1:${apiPort}`,
    });
    const file = join(folder, 'Caddyfile');
    await writeFile(file, `{\n  admin off\n}\n${site}`);
    const child = spawn('/usr/bin/caddy', ['run', '--config', file, '--adapter', 'caddyfile'], {
      stdio: ['ignore', 'ignore', 'ignore'],
      env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    });
    return Proxy.#answering(`http://127.0.0.1:${port}`, undefined, folder, child);
  }

  static async #answering(
    url: string,
    certificate: string | undefined,
    folder: string,
    child: ChildProcess,
  ): Promise<Proxy> {
    const failed = once(child, 'error').then(([error]) => {
      throw error as Error;
    });
    failed.catch(() => undefined);
    const proxy = new Proxy(url, certificate, folder, child);
    const answers = until('the proxy answers', async (saw) => {
      const answer = await proxy.ask('GET', '/health', {}).catch((error: unknown) => {
        saw(String(error));
        return undefined;
      });
      return answer?.statusCode === 200;
    });
    await Promise.race([answers, failed]);
    return proxy;
  }

  /** Sends a request through the proxy. */
  async ask(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: Buffer,
  ): Promise<IncomingMessage> {
    const secure = this.certificate !== undefined && {
      ca: await readFile(this.certificate),
      servername: 'jobs.example.com',
    };
    const ask = secure ? requestHttps : request;
    const sending = ask(this.url + path, {
      method,
      headers: { Host: 'jobs.example.com', ...headers },
      localAddress: clientAddress,
      agent: false,
      ...secure,
    });
    const answered = once(sending, 'response');
    sending.end(body);
    const [answer] = (await answered) as [IncomingMessage];
    return answer;
  }

  async close(): Promise<void> {
    if (this.child.exitCode === null) {
      this.child.kill();
      await once(this.child, 'exit');
    }
    await rm(this.folder, { recursive: true });
  }
}
