import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { join } from 'node:path';

const demo = join(import.meta.dirname, '..', 'src', 'engine', 'demo-model');

/** Which folders of the built-in model stand for which of a release. */
const folders: Record<string, string> = {
  'ACE-Step/Ace-Step1.5/acestep-v15-turbo': 'acestep-v15-demo',
  'ACE-Step/Ace-Step1.5/Qwen3-Embedding-0.6B': 'Qwen3-Embedding-0.6B',
  'ACE-Step/Ace-Step1.5/vae': 'vae',
  'ACE-Step/acestep-v15-base': 'acestep-v15-demo',
  'ACE-Step/acestep-5Hz-lm-0.6B': 'acestep-5Hz-lm-demo',
};

/** A hub on this machine, in the manner of Hugging Face, that gives the built-in model under the names of the releases. */
export class Hub {
  private held: (() => void)[] | undefined;

  private constructor(
    private readonly server: Server,
    readonly url: string,
    private readonly files: Map<string, Buffer>,
  ) {}

  static async listen(): Promise<Hub> {
    const files = new Map<string, Buffer>();
    for (const [place, folder] of Object.entries(folders)) {
      for (const name of readdirSync(join(demo, folder))) files.set(`${place}/${name}`, readFileSync(join(demo, folder, name)));
    }
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (typeof address !== 'object' || !address) throw new Error('no port');
    const hub = new Hub(server, `http://127.0.0.1:${address.port}`, files);
    server.on('request', (request, response) => hub.answer(request, response));
    return hub;
  }

  /** From now on each large file stops in its middle, until `goOn`. */
  hold(): void {
    this.held = [];
  }

  goOn(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const resume of held) resume();
  }

  close(): void {
    this.goOn();
    this.server.closeAllConnections();
    this.server.close();
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url ?? '/', this.url).pathname).slice(1);
    const list = /^api\/models\/([^/]+\/[^/]+)\/tree\/main(.*)$/.exec(path);
    if (list) return this.list(`${list[1]}`, `${list[2]}`, response);
    const file = this.files.get(path.replace('/resolve/main/', '/'));
    if (!file) {
      response.writeHead(404).end();
      return;
    }
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const rest = file.subarray(from);
    const range = from > 0 ? { 'content-range': `bytes ${from}-${file.length - 1}/${file.length}` } : {};
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': rest.length, ...range });
    if (this.held && rest.length > 1_000_000) {
      const middle = rest.length >> 1;
      response.write(rest.subarray(0, middle));
      this.held.push(() => response.end(rest.subarray(middle)));
    } else {
      response.end(rest);
    }
  }

  private list(repository: string, folder: string, response: ServerResponse): void {
    const below = `${repository}${folder}/`;
    const entries = [...this.files]
      .filter(([path]) => path.startsWith(below))
      .map(([path, bytes]) => {
        const oid = createHash('sha256').update(bytes).digest('hex');
        const size = bytes.length;
        return { type: 'file', path: path.slice(repository.length + 1), oid: 'pointer', size, lfs: { oid, size } };
      });
    response.writeHead(entries.length === 0 ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(entries));
  }
}
