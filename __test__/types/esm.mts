import * as everything from 'smokesignal'
import smoke, {
  createNode,
  localIp,
  type Node,
  type Options,
  optionsFromEnv,
  Peer,
  SmokeError,
} from 'smokesignal'

const address: string = localIp('fd00::/8')
const minimal: Options = { address }
const full: Options = {
  address,
  port: 0,
  minPeerNo: 1,
  maxPeerNo: Number.POSITIVE_INFINITY,
  seeds: [{ address: '192.168.2.100', port: 14 }],
  pingTimeout: 1000,
  logger: console,
}
const node: Node = createNode(minimal)
const same: smoke.Node = smoke.createNode(full)
const again: everything.Node = everything.createNode({ address, logger: { warn() {} } })

node.id = 'mine'
const seeds: { address: string; port: number }[] = same.options.seeds
const port: number = again.options.port
const level: ((...message: unknown[]) => void) | undefined = again.logger.fatal
const one: boolean = node.peerlist === node.peers && node.connected && node.listening

const started: Promise<void> = node.start()
const stopped: Promise<void> = node.stop()
const added: Promise<Peer> = node.addPeer('127.0.0.1', port)
node.addPeer('127.0.0.1', port, (error, peer) => {
  const code: string | undefined = error?.code
  const id: string | undefined = peer?.id
  console.log(code, id)
})
const found: Peer | false = node.peers.inList('id')
const ids: string[] = node.peers.dump()
const count: number = node.stats().links.length
console.log(seeds, level, one, started, stopped, added, found, ids, count)

node.on('netsplit', ({ address, port }) => console.log(address.length, port.toFixed()))
node.once('new peer', (peer) => peer.close())
node.peers.on('remove', (peer) => console.log(peer.remoteAddress, peer.remotePort, peer.closed))
node.on('error', (error) => console.log(error.code === 'EADDRINUSE'))

function describe(thing: unknown): string {
  if (thing instanceof Peer) return thing.id
  if (thing instanceof SmokeError) return thing.code
  return String((thing as smoke.OptionError).option)
}
describe(found)

// @ts-expect-error: peers come from their node
new Peer()
createNode({ port: 14, listen: { host: '::', port: 15 }, seeds: ['[::1]:8495'] })
createNode({ ...optionsFromEnv(), address: 'auto', secret: ['next', 'current'] })
// @ts-expect-error: what is listened on is an object
createNode({ listen: 8495 })
// @ts-expect-error: a port is a number
createNode({ address, port: '14' })
// @ts-expect-error: a seed has a port
createNode({ address, seeds: [{ address }] })
// @ts-expect-error: there is no such option
createNode({ address, maxPeers: 3 })
// @ts-expect-error: nodes have no such event
node.on('connected', () => {})
// @ts-expect-error: the peers are read, not set
node.peers = same.peers
// @ts-expect-error: the callback of addPeer may get no peer
node.addPeer('127.0.0.1', 1, (_error, peer) => peer.id)
