import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** Answers as in S3's documentation, for faults that Ceph does not produce on demand. */
export interface FakeS3 {
  endpoint: string;
  requests: string[];
  close: () => Promise<void>;
}

export type Answer = (req: IncomingMessage, res: ServerResponse) => void;

export async function startFakeS3(answer: Answer): Promise<FakeS3> {
  const requests: string[] = [];
  const server = createServer((req, res) => {
    requests.push(`${req.method} ${req.url} ${req.headers.range ?? ''}`.trim());
    answer(req, res);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Sends an error reply; a HEAD gets only the status and headers, as from real servers. */
export function s3Error(
  status: number,
  code: string,
  more: { fields?: Record<string, string>; headers?: Record<string, string> } = {},
): Answer {
  return (req, res) => {
    const fields = Object.entries({ Code: code, Message: 'words', ...more.fields });
    const xml = fields.map(([name, value]) => `<${name}>${value}</${name}>`).join('');
    res.writeHead(status, { 'content-type': 'application/xml', ...more.headers });
    res.end(req.method === 'HEAD' ? undefined : `<?xml version="1.0"?><Error>${xml}</Error>`);
  };
}
