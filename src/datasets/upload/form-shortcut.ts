import type { Readable, Writable } from 'node:stream';

/** The one way in which curl, browsers and HTTP libraries write it; read in another way it would not be the parser's. */
const PLAIN_TYPE = /^multipart\/form-data; ?boundary=([-\w]{1,70})$/;

type Write = Writable['_write'];

/**
 * Lets pieces of a file go past busboy, which looks for the boundary in JavaScript: a quarter of the time that a form takes more than
 * a raw body. What holds no boundary, whole or begun, while a file is open, busboy would push to the file as it is; so that
 * is done at once, after a look with `Buffer.indexOf`. All else goes to busboy.
 */
export function takeShortcut(busboy: Writable, contentType: string | undefined): void {
  const boundary = PLAIN_TYPE.exec(contentType ?? '')?.[1];
  if (boundary === undefined) return;
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const parse: Write = busboy._write.bind(busboy);
  let file: Readable | undefined;
  // Whether busboy holds nothing back that could be a boundary's begin.
  let clean = false;

  busboy.on('file', (_name: string, stream: Readable) => {
    file = stream;
    const push: Readable['push'] = stream.push.bind(stream);
    // The end of a part is told by this alone.
    stream.push = (chunk, encoding) => {
      if (chunk === null) file = undefined;
      return push(chunk, encoding);
    };
  });
  busboy._write = (chunk: Buffer, encoding, done) => {
    const plain = chunk.length >= delimiter.length && !endsInBegin(chunk, delimiter);
    if (file === undefined || !clean || !plain || chunk.includes(delimiter)) {
      clean = plain;
      parse(chunk, encoding, done);
    } else if (file.push(chunk) || file.readableFlowing === true) done();
    else file.once('resume', () => done());
  };
}

/** Whether the chunk's last bytes are the delimiter's first: its only CR is its first byte. */
function endsInBegin(chunk: Buffer, delimiter: Buffer): boolean {
  const at = chunk.lastIndexOf(0x0d);
  const length = chunk.length - at;
  return at >= 0 && length < delimiter.length && chunk.compare(delimiter, 0, length, at) === 0;
}
