import { createNode, type Member, type Node, type Replies, type SmokeError } from 'smokesignal'

interface Events {
  chat: [nick: string, line?: string]
  bye: []
}
interface Handlers {
  sum(a: number, b: number): number
  find(key: string, deep?: boolean): Promise<{ value: string } | null>
  ping: () => 'pong'
  log: (...lines: string[]) => void
}

const node: Node<Events, Handlers> = createNode<Events, Handlers>({
  address: '127.0.0.1',
  members: true,
  meta: { zone: 'a' },
  limits: { maxMembers: 100, maxRequests: undefined },
})
node
  .handle('sum', (_, a, b) => a + b)
  .handle('find', async ({ from, signal }, key, deep) => {
    signal.throwIfAborted()
    return deep ? { value: key + from } : null
  })
  .handle('ping', () => 'pong')
node.handle('log', ({ from }, ...lines) => {
  for (const line of lines) console.log(from.length, line.length)
})
const wasHandled: boolean = node.unhandle('log')

const { signal } = new AbortController()
const sum: number = await node.request('sum', 1, 2)
const slow: number = await node.timeout(2000).signal(signal).request('sum', 1, 2)
const found: { value: string } | null = await node.to('id').emitWithAck('find', 'key')
const pong: 'pong' = await node.to('id').timeout(100).signal(undefined).emitWithAck('ping')
const all: Replies<number> = await node.to(['a', 'b']).emitWithAck('sum', 1, 2)
const { replies, missing, errors } = await node.broadcast.timeout(100).emitWithAck('sum', 1, 2)
for (const [id, value] of replies) console.log(id.length, value.toFixed(), missing.includes(id))
const why: SmokeError | undefined = errors.get('id')
console.log(why?.remoteCode?.length, why?.from, why?.ids?.length, why?.code === 'ERR_SMOKE_REMOTE')

node.direct
  .on('chat', ({ from }, nick, line) => console.log(from.length, nick.length, line?.length))
  .once('bye', (sender) => node.to(sender.from).emit('bye'))
const target = node.to('id')
if (!target.emit('chat', 'anna')) target.once('drain', () => {})
const room: boolean = node.to(['a', 'b'] as const).emit('chat', 'anna', 'hello')

node.members
  .on('join', ({ id, meta }) => console.log(id.length, meta))
  .on('leave', (member) => console.log(member.address, member.port.toFixed()))
for (const [id, { handles, legacy, self }] of node.members) {
  console.log(id, handles.includes('sum'), legacy || self, node.members.size)
}
const members: Member[] = [...node.members.values()]
await node.ready({ members: 3, timeout: 1000, signal })
await node.ready()
node.setMeta({ zone: 'b' })
console.log(sum, slow, found, pong, all, room, members, wasHandled, node.stats().timeouts)

const untyped = createNode({ address: '127.0.0.1' })
untyped.handle('anything', ({ from }, first) => first[from])
console.log((await untyped.request('anything', 1)).whatever)
untyped.direct.on('anything', ({ from }, first, second) => console.log(from, first.x, second))

// @ts-expect-error: b is missing
node.request('sum', 1)
// @ts-expect-error: b is a number
node.to('id').emitWithAck('sum', 1, 'x')
// @ts-expect-error: nobody answers that
node.request('smu', 1, 2)
// @ts-expect-error: the answer is a number
node.handle('sum', () => 'x')
// @ts-expect-error: a is a number
node.handle('sum', (_, a: string) => a.length)
// @ts-expect-error: nobody answers that
node.handle('smu', () => 1)
// @ts-expect-error: no such event
node.to('id').emit('chta', 'anna')
// @ts-expect-error: a nick is text
node.to(['a']).emit('chat', 1)
// @ts-expect-error: the sender comes first
node.direct.on('chat', (nick: string) => nick)
// @ts-expect-error: members are read
node.members.set('id', members[0])
// @ts-expect-error: what others tell can be anything
console.log(members[0]?.meta.zone)
// @ts-expect-error: a function each
createNode<Events, { sum: number }>({ address: '127.0.0.1' })
