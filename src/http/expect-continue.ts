import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Tells a caller with `Expect: 100-continue` to send the body once it is first read. So the caller
 * sends nothing of a body that is refused by the headers, or that is not needed (RFC 9110, section
 * 10.1.1).
 */
export function continueWhenRead(req: IncomingMessage, res: ServerResponse): void {
  const read = req._read.bind(req);
  req._read = (size) => {
    req._read = read;
    // After the reply, the body is read only to be dropped.
    if (!res.headersSent) res.writeContinue();
    read(size);
  };
}
