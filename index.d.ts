/// <reference types="node" />

import type { Duplex } from 'node:stream'

declare global {
  // Older libraries of TypeScript and Node.js do not declare these.
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol
    readonly dispose: unique symbol
  }
}

/**
 * Peer-to-peer networking without a broker. See the README for a first program.
 */
declare namespace smoke {
  /**
   * Creates a node; `start()` brings it into the network. Throws a {@link OptionError} when an
   * option is missing or bad.
   *
   * The application may name the events it sends, and both ends are then checked:
   *
   * ```ts
   * const node = createNode<{ chat: [nick: string, line: string] }>({ address: '127.0.0.1' })
   * node.broadcast.on('chat', (nick, line) => console.log(nick, line))
   * node.broadcast.emit('chat', 'anna', 'hello')
   * ```
   *
   * It may also name the requests that its nodes answer, as functions:
   *
   * ```ts
   * const node = createNode<Events, { sum(a: number, b: number): number }>({ address: '127.0.0.1' })
   * node.handle('sum', (context, a, b) => a + b)
   * const three: number = await node.request('sum', 1, 2)
   * ```
   */
  function createNode<M extends EventMap<M> = AnyEvents, H extends HandlerMap<H> = AnyHandlers>(
    options?: Options,
  ): Node<M, H>

  /**
   * This machine's address in a subnet: `'192.168.2.1/255.255.255.0'`, `'192.168.2.0/24'` or an
   * IPv6 network such as `'fd00::/8'`. Throws an error that lists the addresses it saw when none
   * is in it.
   */
  function localIp(subnet: string): string

  /**
   * Reads options from environment variables: `SMOKE_ADDRESS`, `SMOKE_PORT`, `SMOKE_LISTEN`
   * (`host:port`), `SMOKE_SEEDS` (`host:port` each, separated by commas or blanks), and
   * `SMOKE_SECRET` or `SMOKE_SECRET_FILE` (one secret a line, two at most; 64 hexadecimal digits
   * are 32 bytes, all else is a passphrase). A variable that is empty or absent gives no option.
   * Throws an {@link OptionError} whose `option` is the name of the variable. Nothing else in this
   * package reads the environment.
   */
  function optionsFromEnv(
    env?: Readonly<Record<string, string | undefined>>,
  ): Pick<Options, 'address' | 'port' | 'listen' | 'seeds' | 'secret'>

  // For `instanceof`; nodes come from createNode, and their parts from them.
  const Node: Constructor<Node>
  const Peerlist: Constructor<Peerlist>
  const Peer: Constructor<Peer>
  const Broadcast: Constructor<Broadcast>

  /** A failure at run time. A mistake in a call is a TypeError or RangeError instead. */
  class SmokeError extends Error {
    private constructor()
    readonly code: ErrorCode
    /** With `ERR_SMOKE_REMOTE`: the `code` of the error that the handler threw, if it had one. */
    readonly remoteCode?: string
    /** The id of the node that reported the error. */
    readonly from?: string
    /** With `ERR_SMOKE_UNREACHABLE`: the ids of these nodes. */
    readonly ids?: readonly string[]
  }

  /** The codes of this package's errors; the README says what each one means. */
  type ErrorCode =
    | 'ERR_SMOKE_ARGUMENT'
    | 'ERR_SMOKE_BAD_EVENT'
    | 'ERR_SMOKE_CLOSED'
    | 'ERR_SMOKE_ID'
    | 'ERR_SMOKE_LOST'
    | 'ERR_SMOKE_NETWORK'
    | 'ERR_SMOKE_NO_ADDRESS'
    | 'ERR_SMOKE_NO_BINARY'
    | 'ERR_SMOKE_NO_HANDLER'
    | 'ERR_SMOKE_NOT_ALLOWED'
    | 'ERR_SMOKE_OPTION'
    | 'ERR_SMOKE_OVERLOADED'
    | 'ERR_SMOKE_REFUSED'
    | 'ERR_SMOKE_REMOTE'
    | 'ERR_SMOKE_RUNNING'
    | 'ERR_SMOKE_SECRET'
    | 'ERR_SMOKE_SELF'
    | 'ERR_SMOKE_STOPPED'
    | 'ERR_SMOKE_SUBNET'
    | 'ERR_SMOKE_TIMEOUT'
    | 'ERR_SMOKE_TOO_LARGE'
    | 'ERR_SMOKE_UNREACHABLE'

  /** Thrown by `createNode` for a missing or bad option: a TypeError or RangeError. */
  interface OptionError extends Error {
    readonly code: 'ERR_SMOKE_OPTION'
    /** The name of the option, such as `port` or `seeds[0].address`. */
    readonly option: string
  }

  /** An application's map of events: the name of each and the tuple of its arguments. */
  type EventMap<M> = { [K in keyof M]: readonly unknown[] }

  /** The arguments of one event. */
  type Arguments<M, K extends keyof M> = M[K] extends readonly unknown[] ? M[K] : never

  /** The map of an application that does not type its events. */
  // biome-ignore lint/suspicious/noExplicitAny: what came over the network can be anything
  type AnyEvents = Record<string, any[]>

  /** An application's map of requests: the name of each and its function. */
  type HandlerMap<H> = { [K in keyof H]: (...args: never[]) => unknown }

  /** The map of an application that does not type its requests. */
  // biome-ignore lint/suspicious/noExplicitAny: as for events
  type AnyHandlers = Record<string, (...args: any[]) => any>

  /** The handler of each request. Its first argument tells who asks. */
  type Handlers<H> = {
    [K in keyof H]: (
      context: RequestContext,
      ...args: Asked<H, K>
    ) => Answer<H, K> | PromiseLike<Answer<H, K>>
  }

  /** The arguments of a request, and its answer. */
  type Asked<H, K extends keyof H> = H[K] extends (...args: infer A) => unknown ? A : never
  type Answer<H, K extends keyof H> = H[K] extends (...args: never[]) => infer R
    ? Awaited<R>
    : never

  interface Options {
    /**
     * Where other nodes reach this one: an IP address, a host name, or `'auto'`. `'auto'` takes the
     * address of the interface that leads to the first seed; without seeds, of the one with the
     * default route; without that, the machine's only address. Default: `'auto'` for a node with
     * seeds; 127.0.0.1 without, where only its own machine reaches it. While the node runs,
     * `node.options.address` is the address that `'auto'` has taken. See {@link localIp}.
     */
    address?: string | undefined
    /**
     * The TCP port that other nodes dial, and that the node listens on, unless `listen` says
     * otherwise. Default 0: any free one; `node.options.port` tells which.
     */
    port?: number | undefined
    /** Where the node listens, if that is not where others reach it. */
    listen?: ListenOptions | undefined
    /** The number of peers that the node seeks. Default 3, or `maxPeerNo` if that is less. */
    minPeerNo?: number | undefined
    /**
     * The number of peers that the node accepts; `Infinity` for no limit. Default 5, or `minPeerNo`
     * if that is more.
     */
    maxPeerNo?: number | undefined
    /**
     * Known nodes to enter the network through; see docs/seeds.md. Default none. `'host:8495'`,
     * `'[::1]:8495'`, `{address, port}`, or `'srv:_smoke._tcp.example.org'` for a list in the DNS.
     */
    seeds?: readonly (Address | string)[] | undefined
    /**
     * The name of the network, 1 to 64 bytes. Nodes with another name, or without one, are refused.
     * It keeps applications apart that share addresses. It is not a secret. Nodes of 0.x and 1.0
     * have no name. Default null: none.
     */
    network?: string | null | undefined
    /** A seed counts as lost after this long without an answer, in milliseconds. Default 3000. */
    pingTimeout?: number | undefined
    /** The largest message to send or accept, in bytes. Default 4 MiB; 1 KiB to 64 MiB. */
    maxMessageSize?: number | undefined
    /**
     * How to treat a receiver that handles messages more slowly than this node sends them.
     * `'wait'`, the default: `emit` and `write` return false until it has caught up, so a sender
     * that waits for `'drain'` loses nothing. `'drop'`: this node does not wait, and the receiver
     * loses the messages that do not fit into its memory (`'lost'`) or its links (`'skipped'`).
     */
    slowReceivers?: 'wait' | 'drop'
    /**
     * Senders stop waiting for a receiver that has handled nothing for this long, in milliseconds;
     * 100 to `Infinity`. Default 10000. A dead node is detected after 6 s, so this is for a node
     * that runs and hangs.
     */
    slowReceiverTimeout?: number
    /**
     * Closes the network: all its nodes share 32 random bytes or a passphrase. Every link is then
     * encrypted, and nodes without the secret, older versions included, cannot join. A passphrase
     * can be guessed; random bytes cannot. Not kept in {@link Node.options}.
     *
     * `[next, current]` changes it while the network runs: the node accepts both, and offers the
     * first one unless the other side knows only the second. Restart all nodes with that, one after
     * the other, and then all with `next` alone.
     */
    secret?: Secret | readonly [next: Secret, current: Secret] | readonly Secret[] | undefined
    /**
     * With a `secret`: the node's private key, which determines its id. Either 32 random bytes, or
     * the path of a file with the key, which is created if it is missing. Default: a new key. No
     * two nodes may have the same key. Not kept in {@link Node.options}.
     */
    identity?: string | Uint8Array | undefined
    /**
     * The networks, such as `'10.0.0.0/8'`, and addresses that may connect and may be dialled.
     * Default none, which means all.
     */
    allow?: readonly string[] | undefined
    /**
     * Whether the node knows who is in the network ({@link Node.members}), and can speak to each of
     * them. Default true. If false, it knows only itself.
     */
    members?: boolean | undefined
    /**
     * Data about this node that everybody can read, such as a zone or a version: at most 512 bytes
     * of JSON. Default undefined. See {@link Node.setMeta}.
     */
    meta?: unknown
    /** Limits on the resources that others can make the node spend. */
    limits?: Limits | undefined
    /** Receives log lines. Default none. A missing level costs nothing. */
    logger?: Logger | undefined
  }

  /** 32 random bytes, or a passphrase. */
  type Secret = string | Uint8Array

  /** Where a node listens: for forwarded ports, for one interface, for IPv4 or IPv6 alone. */
  interface ListenOptions {
    /**
     * An IP address of this machine, `'0.0.0.0'` (IPv4 only) or `'::'` (IPv6 only). Default null: all
     * addresses of this machine; loopback if the node itself chose a loopback address.
     */
    host?: string | null | undefined
    /** The TCP port to listen on. Default null: the option `port`. */
    port?: number | null | undefined
  }

  /** Limits on what others can make a node spend. `node.stats()` counts how often each applied. */
  interface Limits {
    /** Time from connection to handshake, and from handshake to answer, in ms. Default 5000. */
    handshakeTimeout?: number | undefined
    /** Time from dialling to a connection, in ms. Default 3000. */
    dialTimeout?: number | undefined
    /** Connections that have not become peers. Default 256. */
    maxUnconnected?: number | undefined
    /** The same for one address; this machine's own addresses do not count. Default 4. */
    maxUnconnectedPerAddress?: number | undefined
    /**
     * Accepted connections per second; bursts may be twice as large. Default 1000. More connections
     * wait for their turn.
     */
    connectionsPerSecond?: number | undefined
    /** Encrypted handshakes computed per second; bursts may be twice as large. Default 200. */
    handshakesPerSecond?: number | undefined
    /**
     * Bytes queued for one peer, and bytes that receivers may be behind before `emit` returns
     * false. Default 8 MiB; 64 KiB to 1 GiB.
     */
    queuePerPeer?: number | undefined
    /** Simultaneous dials caused by others. Default 8. */
    maxDials?: number | undefined
    /** Dials per second caused by others; bursts may be twice as large. Default 4. */
    dialsPerSecond?: number | undefined
    /** Requests for peers accepted from one peer, per second. Default 10. */
    peerRequestsPerSecond?: number | undefined
    /** Answered pings per second. Default 10. */
    pongsPerSecond?: number | undefined
    /**
     * Bytes per second of one peer's broadcasts that are forwarded to others; the rest is read
     * later. Default 128 MiB, which is about a gigabit; 1 KiB to 10^12.
     */
    relayedBytesPerSecond?: number | undefined
    /**
     * Bytes of broadcasts, the node's own and others', that are kept for nodes that miss some.
     * Default 32 MiB; 16 MiB, which is what senders may be ahead of their receivers, to 1 GiB.
     */
    repairBytes?: number | undefined
    /** Nodes that are known as members. Default 16384. */
    maxMembers?: number | undefined
    /**
     * Shortcuts: connections of this node to members that it exchanges much with by `to()`, beside
     * its peers, dialled and accepted. Default 16; 0 to 1024. With 0, all messages to members pass
     * through the nodes between.
     */
    maxShortcuts?: number | undefined
    /** Requests of this node that wait for their answers. Default 16384. */
    maxRequests?: number | undefined
    /** Requests that this node's handlers work on at the same time. Default 4096. */
    maxHandled?: number | undefined
    /** The same for one other node. Default 1024. */
    maxHandledPerNode?: number | undefined
  }

  /** A connection that was refused or closed for security reasons. */
  interface Refusal extends Address {
    /**
     * `plaintext`: not encrypted, and this node has a secret; `encrypted`: the opposite; `secret`:
     * another secret; `identity`: an id that does not match its key; `corrupted`: altered in
     * transit; `address`: not in the option `allow`; `crowded`: more handshakes than the limit;
     * `network`: another network name; `id`: this node's own id, or none.
     */
    reason:
      | 'address'
      | 'corrupted'
      | 'crowded'
      | 'encrypted'
      | 'id'
      | 'identity'
      | 'network'
      | 'plaintext'
      | 'secret'
  }

  /** The outcome of the attempts to enter the network through a seed. */
  interface SeedOutcome extends Address {
    /**
     * `refused`: nothing listens there; `no answer`, `unreachable`, `unknown name`; `secret`,
     * `network`: its secret or its network's name differs; `not allowed`: not in the option
     * `allow`; `not smokesignal`: it speaks something else; `closed`: it closed the connection
     * without a word, as a node with a secret does when this one has none, and as a full node of
     * 0.x does; `id`: it has the id of this node; `asked`: it was asked for peers, and none has
     * come yet; `full`: it has no room, and named other nodes; `failed`: anything else; `not
     * tried`: its turn has not come; `peer`: it was a peer and has gone.
     */
    reason:
      | 'asked'
      | 'closed'
      | 'failed'
      | 'full'
      | 'id'
      | 'network'
      | 'no answer'
      | 'not allowed'
      | 'not smokesignal'
      | 'not tried'
      | 'peer'
      | 'refused'
      | 'secret'
      | 'unknown name'
      | 'unreachable'
  }

  /** Another running node with the id or the address of this one. */
  interface Conflict extends Address {
    /** What both nodes share: the id, or the address that others dial. */
    what: 'address' | 'id'
    /** The other node's id. */
    id: string
  }

  /** Where a node listens. */
  interface Address {
    /** An IP literal or a host name. */
    address: string
    /** A TCP port. */
    port: number
  }

  /** Any logger with some of these methods: `console`, pino, log4js, … */
  interface Logger {
    trace?(...message: unknown[]): void
    debug?(...message: unknown[]): void
    info?(...message: unknown[]): void
    warn?(...message: unknown[]): void
    error?(...message: unknown[]): void
    fatal?(...message: unknown[]): void
  }

  /** The options of a node, with all defaults filled in. */
  type ResolvedOptions = Resolved<
    Omit<Options, 'secret' | 'identity' | 'limits' | 'listen' | 'seeds'>
  > & {
    limits: Resolved<Limits>
    listen: Resolved<ListenOptions>
    seeds: Address[]
  }

  /** `T` with all properties set. */
  type Resolved<T> = { [K in keyof T]-?: Exclude<T[K], undefined> }

  /**
   * The events of a {@link Node}. An application that emits its own events on a node declares them:
   *
   * ```ts
   * declare module 'smokesignal' {
   *   interface NodeEvents<M> {
   *     ready: [since: Date]
   *   }
   * }
   * ```
   */
  interface NodeEvents<M extends EventMap<M> = AnyEvents> {
    /** The node has its first peer. */
    connect: []
    /** The node has lost its last peer. It keeps looking for others. */
    disconnect: []
    /** A peer was added; the same as `'add'` of {@link Node.peers}. */
    'new peer': [peer: Peer<M>]
    /** A seed is no longer reachable through the network. */
    netsplit: [seed: Address]
    /** A lost seed is reachable again. */
    'netsplit resolved': [seed: Address]
    /**
     * The node has no peer; the argument is the outcome for each seed. Emitted after 2 to 6 s, then
     * whenever an outcome changes, and once a minute. The node keeps trying.
     */
    outside: [seeds: SeedOutcome[]]
    /**
     * The node has peers, but a seed is in another part of the network, and neither part has room
     * for a link to the other: see {@link Node.connected}. The node keeps trying.
     */
    island: [seed: Address]
    /** That seed is in the same part of the network again. */
    'island resolved': [seed: Address]
    /** Another running node has the id or the address of this node. */
    conflict: [conflict: Conflict]
    /**
     * `count` broadcasts from the node `id` were missed: this node was cut off for longer than
     * others keep them (30 s, 32 MiB), or they were larger than its `maxMessageSize`.
     */
    skipped: [gap: { id: string; count: number }]
    /**
     * `count` messages to the member `id` were dropped on their way: a node had no way or no room.
     * Ten in a row are told, then one a second; `stats().undelivered` counts all.
     */
    undelivered: [loss: { id: string; count: number }]
    /** `count` messages were dropped because this process did not handle them in time. */
    lost: [drop: { count: number }]
    /**
     * The node `id` has handled nothing for `slowReceiverTimeout`. This node stops waiting for it,
     * until it handles messages again.
     */
    'slow receiver': [receiver: { id: string }]
    /** A broadcast was not sent to the peer `id`, which accepts at most `limit` bytes. */
    oversized: [message: { id: string; size: number; limit: number }]
    /** A connection was refused. At most ten of these events come at once, then one a second. */
    refused: [refusal: Refusal]
    /** The node could not listen, for example `EADDRINUSE`. It can be started again. */
    error: [error: NodeJS.ErrnoException]
  }

  /** An operation that can be aborted. It then fails with an `AbortError`. */
  interface Abortable {
    signal?: AbortSignal | null | undefined
  }

  /** Called when a dial ends, with an error, or with null and the peer. */
  type DialCallback<M extends EventMap<M> = AnyEvents> = (
    error: NodeJS.ErrnoException | null,
    peer?: Peer<M>,
  ) => void

  /** This program's own part in the network. */
  interface Node<M extends EventMap<M> = AnyEvents, H extends HandlerMap<H> = AnyHandlers>
    extends TypedEmitter<NodeEvents<M>> {
    /**
     * The network-wide id. Random unless set before `start()`: any text of 1 to 512 bytes. Nodes of
     * 0.x do not hear the broadcasts of an id with a `-` in it. With the option `secret` the id
     * follows from `identity` and cannot be set.
     */
    id: string
    readonly options: ResolvedOptions
    readonly logger: Logger
    /** Whether the node accepts connections. */
    readonly listening: boolean
    /**
     * Whether the node is in the network: it has a peer, and no seed is known to be in another part
     * of the network (see the event `island`).
     */
    readonly connected: boolean
    /** The nodes that this one has a link to. */
    readonly peers: Peerlist<M>
    /** The same object as {@link Node.peers}. */
    readonly peerlist: Peerlist<M>
    /** The channel to all other nodes of the network. */
    readonly broadcast: Broadcast<M, H>
    /** Everyone in the network, by id, this node included while it runs. */
    readonly members: Members
    /** Hears what others sent to this node alone, by {@link Node.to}. */
    readonly direct: Direct<M>

    /**
     * Listens, and enters the network through the seeds. Keeps the process alive until `stop()`,
     * unless {@link unref} is called. `signal` aborts a start that has not finished. Resolves once
     * the node listens, which is before it is in the network. To wait for a peer, write
     * `if (!node.connected) await once(node, 'connect')`; the first node of a network waits there
     * for the second. `'outside'` tells why a node has no peer. If the node cannot listen, the
     * promise rejects and `'error'` is emitted. You may ignore the promise, or the event if you use
     * the promise.
     */
    start(options?: Abortable): Promise<void>
    /**
     * Leaves the network and closes everything. May be called at any time; `start()` works again.
     */
    stop(): Promise<void>
    /** The same as `stop()`, for `await using node = …`. */
    [Symbol.asyncDispose](): Promise<void>
    /** Keeps the process alive while the node runs, which is the default. */
    ref(): this
    /** Lets the process end while the node runs. */
    unref(): this
    /**
     * Dials a node, also beyond `minPeerNo`. Rejects or calls back with an error that has a `code`.
     * Before the first `start()`, waits for it. `signal` aborts the dial.
     */
    addPeer(address: string, port: number, options?: Abortable): Promise<Peer<M>>
    addPeer(address: string, port: number, callback: DialCallback<M>): Promise<Peer<M>>
    addPeer(
      address: string,
      port: number,
      options: Abortable | undefined,
      callback: DialCallback<M>,
    ): Promise<Peer<M>>
    /** One node of the network, or several, near or far. */
    to(id: string): Target<M, H>
    to(ids: readonly string[]): Targets<M, H>
    /**
     * Answers requests of this name. The handler returns the answer, or a promise of it. An error
     * that it throws rejects the request with `ERR_SMOKE_REMOTE`; its message and `code` travel, its
     * stack does not. Each name has one handler. Every node learns the names that this node handles:
     * 1024 bytes of JSON at most.
     */
    handle<K extends keyof H & string>(name: K, handler: Handlers<H>[K]): this
    /** Takes a handler off; returns whether there was one. */
    unhandle(name: keyof H & string): boolean
    /**
     * Asks one of the nodes that handle the request, this one included, each in its turn. Rejects at
     * once with `ERR_SMOKE_NO_HANDLER` when no node does; see {@link Acknowledged.emitWithAck}.
     */
    request<K extends keyof H & string>(name: K, ...args: Asked<H, K>): Promise<Answer<H, K>>
    /** Sets the time limit of `request`, in milliseconds. Without it, 5000. */
    timeout(ms: number): Requester<H>
    /** Lets a signal abort `request`. */
    signal(signal: AbortSignal | null | undefined): Requester<H>
    /** Resolves when there are `members` members. May be called before `start()`. */
    ready(options?: ReadyOptions): Promise<void>
    /** Changes the option `meta`: others get `'update'`, within about a second. */
    setMeta(meta: unknown): void
    /** The counters of the node since its start. */
    stats(): Stats
  }

  interface ReadyOptions extends Abortable {
    /** The number of members to wait for, this node included. Default 2. */
    members?: number | undefined
    /** Rejects with `ERR_SMOKE_TIMEOUT` after this many milliseconds. Default: never. */
    timeout?: number | undefined
  }

  /** A snapshot of one node of the network. Each change makes a new object. */
  interface Member {
    readonly id: string
    /** Where others reach it; `''` and 0 if unknown. */
    readonly address: string
    readonly port: number
    /** Its option `meta`. */
    readonly meta: unknown
    /** The names of the requests that it answers. */
    readonly handles: readonly string[]
    /** Whether it runs an older version: only {@link Peer.emit} and broadcasts reach it. */
    readonly legacy: boolean
    /** Whether it is this node itself. */
    readonly self: boolean
  }

  interface MembersEvents {
    /** A node, or this node itself, has entered the network. */
    join: [member: Member]
    /** A node has left the network, or cannot be reached any more. No message from it follows. */
    leave: [member: Member]
    /** A node has changed its `meta` or its handlers. */
    update: [member: Member]
  }

  /** Everyone in the network, by id. */
  interface Members extends ReadonlyMap<string, Member>, TypedEmitter<MembersEvents> {}

  /** The sender of a message. */
  interface Sender {
    /** The sender's id. Answer with `node.to(from)`. */
    readonly from: string
    /**
     * Whether the sender's id is proved. True with the option `secret`, except for requests by
     * `node.broadcast`.
     */
    readonly authenticated: boolean
  }

  /** The context of a request, which its handler gets. */
  interface RequestContext extends Sender {
    /** Is aborted when nobody waits for the answer any more. */
    readonly signal: AbortSignal
  }

  type DirectEvents<M> = {
    [K in keyof M & string]: M[K] extends readonly unknown[]
      ? [sender: Sender, ...args: M[K]]
      : never
  }

  /**
   * Hears what others sent to this node alone. Listeners get the sender first, so that no argument
   * can pass for it.
   */
  interface Direct<M extends EventMap<M> = AnyEvents> extends TypedEmitter<DirectEvents<M>> {}

  /** The part of `Target` and `Targets` that is local. */
  interface Drainable {
    /** There is room again after `emit` returned false, or the node has left. */
    on(event: 'drain', listener: () => void): this
    once(event: 'drain', listener: () => void): this
    off(event: 'drain', listener: () => void): this
    addListener(event: 'drain', listener: () => void): this
    removeListener(event: 'drain', listener: () => void): this
  }

  /** Requests to one node. */
  interface Acknowledged<H extends HandlerMap<H> = AnyHandlers> {
    /**
     * Sends a request; resolves to the answer. Rejects after 5 s, or the time that `timeout` says,
     * with `ERR_SMOKE_TIMEOUT`, and the moment the other node leaves with `ERR_SMOKE_UNREACHABLE`.
     */
    emitWithAck<K extends keyof H & string>(name: K, ...args: Asked<H, K>): Promise<Answer<H, K>>
    /** Sets the time limit, in milliseconds. */
    timeout(ms: number): Acknowledged<H>
    /** Lets a signal abort the request. */
    signal(signal: AbortSignal | null | undefined): Acknowledged<H>
  }

  /** Requests to several nodes at once. */
  interface AcknowledgedByAll<H extends HandlerMap<H> = AnyHandlers> {
    /** Sends a request to all; resolves when all have answered, or time is over. */
    emitWithAck<K extends keyof H & string>(
      name: K,
      ...args: Asked<H, K>
    ): Promise<Replies<Answer<H, K>>>
    timeout(ms: number): AcknowledgedByAll<H>
    signal(signal: AbortSignal | null | undefined): AcknowledgedByAll<H>
  }

  /** The outcome of a request to several nodes. */
  interface Replies<T> {
    /** The answers, by id. */
    readonly replies: Map<string, T>
    /** The ids of the nodes that have not answered. */
    readonly missing: string[]
    /** Errors of nodes that failed, have no handler or have left, by id. Others were too slow. */
    readonly errors: Map<string, SmokeError>
  }

  /** Requests to any node that handles them. */
  interface Requester<H extends HandlerMap<H> = AnyHandlers> {
    request<K extends keyof H & string>(name: K, ...args: Asked<H, K>): Promise<Answer<H, K>>
    timeout(ms: number): Requester<H>
    signal(signal: AbortSignal | null | undefined): Requester<H>
  }

  /** One node of the network, near or far. */
  interface Target<M extends EventMap<M> = AnyEvents, H extends HandlerMap<H> = AnyHandlers>
    extends Acknowledged<H>,
      Drainable {
    /**
     * Sends an event to the node's {@link Node.direct}: once and in order, or not at all when the
     * way there breaks at that moment. Returns whether there is room: after false, wait for
     * `'drain'`. Throws `ERR_SMOKE_UNREACHABLE` when the node is not in the network.
     */
    emit<K extends keyof M & string>(event: K, ...args: Arguments<M, K>): boolean
  }

  /** Several nodes. */
  interface Targets<M extends EventMap<M> = AnyEvents, H extends HandlerMap<H> = AnyHandlers>
    extends AcknowledgedByAll<H>,
      Drainable {
    /** The same, to each. Sends nothing when one of them is not in the network: see `error.ids`. */
    emit<K extends keyof M & string>(event: K, ...args: Arguments<M, K>): boolean
  }

  /** The events of a {@link Peerlist}. */
  interface PeerlistEvents<M extends EventMap<M> = AnyEvents> {
    /** A peer was added. Comes before anything that it sent. */
    add: [peer: Peer<M>]
    /** A peer has gone. Comes after everything that it sent. */
    remove: [peer: Peer<M>]
  }

  /** The nodes that a node has a link to. */
  interface Peerlist<M extends EventMap<M> = AnyEvents> extends TypedEmitter<PeerlistEvents<M>> {
    readonly node: Node<M>
    /** A new array after each change, so that a loop over the old one may close peers. */
    readonly list: readonly Peer<M>[]
    /** The peer itself, or false. */
    inList(peer: Peer<M> | string): Peer<M> | false
    /** Whether there are `maxPeerNo` peers. */
    isFull(): boolean
    /** Whether there are `minPeerNo` peers. */
    isSufficientlyFilled(): boolean
    /** The ids of all peers. */
    dump(): string[]
    /** Closes every peer. */
    close(): this
  }

  /** The local events of a channel: those of its stream, and `'drain'`. */
  interface ChannelEvents {
    /** A stream chunk came: a Buffer, or a string after `setEncoding()`. */
    // biome-ignore lint/suspicious/noExplicitAny: as in Node's own stream types
    data: [chunk: any]
    /**
     * There is room again after `emit` or `write` returned false. Also comes when the peer closes
     * or the node stops; check `peer.closed` or `node.listening`.
     */
    drain: []
    /** Nothing more will come. */
    end: []
    close: []
    /** The stream failed, with an Error; or another node emitted `'error'`, with any arguments. */
    // biome-ignore lint/suspicious/noExplicitAny: see above
    error: any[]
    finish: []
    pause: []
    resume: []
    readable: []
    pipe: [source: NodeJS.ReadableStream]
    unpipe: [source: NodeJS.ReadableStream]
    newListener: [event: string | symbol, listener: (...args: never[]) => void]
    removeListener: [event: string | symbol, listener: (...args: never[]) => void]
  }

  /**
   * A way to other nodes. `emit` sends to them and never to local listeners; `on` hears what they
   * emit. It also carries a byte stream and can be used like any duplex stream. Nothing is buffered
   * for a stream that nobody reads.
   */
  interface Channel<M extends EventMap<M> = AnyEvents> extends NodeJS.ReadWriteStream {
    readonly node: Node<M>
    /** The byte stream as a real `stream.Duplex`. The stream methods here delegate to it. */
    readonly stream: Duplex

    /**
     * Sends an event to the other side, whatever its name. Arguments follow JSON, except that
     * Buffers and typed arrays arrive as Buffers; small ones may share their memory with others, as
     * Node's own do. They may nest 999 deep. Throws if an argument cannot be serialised or the queue
     * is full (see the error codes in the README). Returns whether there is room: after false, wait
     * for `'drain'`.
     */
    emit<K extends keyof M & string>(event: K, ...args: Arguments<M, K>): boolean
    /** Called by `Readable#pipe` on its destination; stays local. */
    emit(event: 'pipe' | 'unpipe', source: NodeJS.ReadableStream): boolean

    on: Listen<M, this>
    once: Listen<M, this>
    off: Listen<M, this>
    addListener: Listen<M, this>
    removeListener: Listen<M, this>
    prependListener: Listen<M, this>
    prependOnceListener: Listen<M, this>

    readonly allowHalfOpen: boolean
    readonly destroyed: boolean
    readonly errored: Error | null
    readonly readableEncoding: BufferEncoding | null
    readonly readableEnded: boolean
    readonly readableFlowing: boolean | null
    readonly readableHighWaterMark: number
    readonly readableLength: number
    readonly writableCorked: number
    readonly writableEnded: boolean
    readonly writableFinished: boolean
    readonly writableHighWaterMark: number
    readonly writableLength: number
    readonly writableNeedDrain: boolean
    cork(): void
    uncork(): void
    destroy(error?: Error): this
  }

  /** `on` and similar methods, for an event of the application's map or a local one. */
  interface Listen<M extends EventMap<M>, Self> {
    <K extends keyof M & string>(
      event: K,
      listener: (this: Self, ...args: Arguments<M, K>) => void,
    ): Self
    <K extends keyof ChannelEvents>(
      event: K,
      listener: (this: Self, ...args: ChannelEvents[K]) => void,
    ): Self
    /** `errorMonitor`. */
    // biome-ignore lint/suspicious/noExplicitAny: as of any EventEmitter
    (event: symbol, listener: (this: Self, ...args: any[]) => void): Self
  }

  /** Everyone in the network but the node itself. */
  interface Broadcast<M extends EventMap<M> = AnyEvents, H extends HandlerMap<H> = AnyHandlers>
    extends Channel<M> {
    /** Whether its stream is closed. */
    readonly closed: boolean
    /**
     * Asks every other node that handles the request. Nodes without a handler count as missing. See
     * {@link AcknowledgedByAll}.
     */
    emitWithAck<K extends keyof H & string>(
      name: K,
      ...args: Asked<H, K>
    ): Promise<Replies<Answer<H, K>>>
    timeout(ms: number): AcknowledgedByAll<H>
    signal(signal: AbortSignal | null | undefined): AcknowledgedByAll<H>
  }

  /** A node that this one has a link to, and the channel to it. */
  interface Peer<M extends EventMap<M> = AnyEvents> extends Channel<M> {
    /** Its network-wide id. */
    readonly id: string
    readonly remoteAddress: string
    readonly remotePort: number
    readonly closed: boolean
    readonly socket: PeerSocket
    /** Closes the link. `'close'` and `'end'` follow. `destroy()` does the same. */
    close(): void
    /** The same as `close()`, for `using peer = …`. */
    [Symbol.dispose](): void
    [Symbol.asyncDispose](): Promise<void>
  }

  /**
   * The part of nssocket, which 0.x used, that is kept: messages under a path chosen by the
   * application. A path is an array of strings, or a string with `::` between the parts. `*`
   * matches any single part.
   */
  interface PeerSocket extends NodeJS.EventEmitter {
    readonly remoteAddress: string
    readonly remotePort: number
    readonly host: string
    readonly port: number
    readonly connected: boolean
    /** Sends `data` under `path`. Returns whether there is room for more. */
    send(
      path: string | readonly string[],
      data?: unknown,
      callback?: (error?: SmokeError) => void,
    ): boolean
    /** Calls `listener` with the data of every message under `path`. */
    data(path: string | readonly string[], listener: (data: unknown) => void): this
    /** Like `data`, for one message only. */
    dataOnce(path: string | readonly string[], listener: (data: unknown) => void): this
    /** Removes a listener. */
    undata(path: string | readonly string[], listener: (data: unknown) => void): this
    /** Closes the peer. */
    end(): void
    /** Closes the peer. */
    destroy(): void
  }

  /**
   * Counters since `start()`, in messages unless stated otherwise, up to a second old. Later
   * versions may add more.
   */
  interface Stats {
    /** Broadcasts of this node. */
    readonly sent: number
    /** Broadcasts of others that were delivered to this node's application. */
    readonly delivered: number
    /** Copies of others' broadcasts that were forwarded to a peer. */
    readonly forwarded: number
    /** Broadcasts that arrived again and were dropped. */
    readonly duplicates: number
    /** Broadcasts that were missed; see the event `skipped`. */
    readonly skipped: number
    /** Broadcasts that arrived before an earlier one and were held back. */
    readonly held: number
    /** Gaps that were closed by asking a peer. */
    readonly repaired: number
    /** Requests to a peer for missing broadcasts. */
    readonly grafts: number
    /** Times that a peer was told to stop pushing a sender's broadcasts. */
    readonly prunes: number
    /** Direct messages sent to peers. */
    readonly directSent: number
    /** Times that this node stopped waiting for a receiver; see the event `slow receiver`. */
    readonly slowReceivers: number
    /** Broadcasts not sent to a peer because they exceed its limit, counted once per peer. */
    readonly oversized: number
    /** Direct messages received from peers. */
    readonly directReceived: number
    /** Messages not sent to a legacy peer because they would crash it. */
    readonly withheld: number
    /** Messages rejected for a wrong hash, a wrong shape or invalid JSON. */
    readonly rejected: number
    /** Attempted connections. */
    readonly dials: number
    /** Dials asked for by others and refused by a limit. */
    readonly dialsRefused: number
    /** Forwarded requests and addresses refused by a limit. */
    readonly relaysRefused: number
    /** Connections that did not finish the handshake in time. */
    readonly handshakeTimeouts: number
    /** Times that the floods of a misbehaving peer were muted. */
    readonly muted: number
    /** Messages of such peers that were ignored. */
    readonly ignoredOfMuted: number
    /** Connections that were closed for misbehaviour. */
    readonly misbehaved: number
    /** Members of the network, now, without this node. */
    readonly members: number
    /** Records kept now: of all members, and for a minute of nodes that cannot be reached. */
    readonly records: number
    /** Records of others that a limit refused. */
    readonly recordsRefused: number
    /** Records that were not signed by the node that they are about, in a closed network. */
    readonly recordsForged: number
    /** Messages passed on from one member to another. */
    readonly routed: number
    /** Messages sent to members. */
    readonly routedSent: number
    /** Messages received from members. */
    readonly routedReceived: number
    /** Messages of members that were lost on their way, or that this node could not pass on. */
    readonly routedLost: number
    /** Messages to members that were dropped on their way, as far as this node was told. */
    readonly undelivered: number
    /** Messages to this node that named a false sender, in a closed network. */
    readonly routedForged: number
    /** Shortcuts to members, now: connections beside those of the peers. */
    readonly shortcuts: number
    /** Shortcuts that this node refused to others, for want of room or of a reason. */
    readonly shortcutsRefused: number
    /** Refused: not encrypted, and this node has a secret. */
    readonly refusedPlaintext: number
    /** Refused: encrypted, and this node has no secret. */
    readonly refusedEncrypted: number
    /** Refused: another secret. */
    readonly refusedSecret: number
    /** Dials closed by the other side in the handshake: it has no secret, or another. */
    readonly unanswered: number
    /** Refused: an id that does not match its key. */
    readonly refusedIdentity: number
    /** Closed because a message was altered, repeated or removed in transit. */
    readonly corrupted: number
    /** Refused or not dialled: an address outside of the option `allow`. */
    readonly refusedAddress: number
    /** Refused or closed: more than `maxUnconnected` or `handshakesPerSecond`. */
    readonly refusedCrowded: number
    /** Refused: more than `maxUnconnectedPerAddress`. */
    readonly refusedPerAddress: number
    /** Times that accepting paused because of `connectionsPerSecond`. */
    readonly crowds: number
    /** Reads delayed by `relayedBytesPerSecond`. */
    readonly slowed: number
    /** Requests that this node has sent. */
    readonly requests: number
    /** Requests that timed out before the answer, or all answers, came. */
    readonly timeouts: number
    /** Requests, also its own, that this node's handlers received. */
    readonly requestsHandled: number
    /** Requests that were refused: more than `maxHandled` or `maxHandledPerNode`, or malformed. */
    readonly requestsRefused: number
    /** Answers that nobody waited for: too late, or never asked for. */
    readonly answersIgnored: number
    /** Connections that have not become peers, right now. */
    readonly unconnected: number
    /** The limits that apply. */
    readonly limits: Resolved<Limits>
    /** The current links, one per peer. */
    readonly links: readonly LinkStats[]
    /** Messages delivered to this node's listeners. */
    readonly crossed: number
    /** Messages without a listener. */
    readonly unheard: number
    /** Messages dropped because JavaScript did not take them in time; see the event `lost`. */
    readonly lost: number
    /** Bytes of messages that currently wait for JavaScript. */
    readonly waitingBytes: number
    /** Messages dropped because their text was not an event. */
    readonly unreadable: number
    /** Log lines dropped because too many waited. */
    readonly logLinesLost: number
  }

  interface LinkStats {
    /** The peer's id. */
    readonly id: string
    /** Whether the peer uses this package's own wire format, unlike older versions. */
    readonly native: boolean
    /** Bytes that wait to be written to the peer. */
    readonly queuedBytes: number
  }

  type Constructor<T> = (abstract new (...args: never) => T) & { readonly prototype: T }

  /** An EventEmitter whose events are known. */
  interface TypedEmitter<E extends { [K in keyof E]: unknown[] }> extends NodeJS.EventEmitter {
    on<K extends keyof E & string>(event: K, listener: (this: this, ...args: E[K]) => void): this
    once<K extends keyof E & string>(event: K, listener: (this: this, ...args: E[K]) => void): this
    off<K extends keyof E & string>(event: K, listener: (this: this, ...args: E[K]) => void): this
    addListener<K extends keyof E & string>(
      event: K,
      listener: (this: this, ...args: E[K]) => void,
    ): this
    removeListener<K extends keyof E & string>(
      event: K,
      listener: (this: this, ...args: E[K]) => void,
    ): this
    prependListener<K extends keyof E & string>(
      event: K,
      listener: (this: this, ...args: E[K]) => void,
    ): this
    prependOnceListener<K extends keyof E & string>(
      event: K,
      listener: (this: this, ...args: E[K]) => void,
    ): this
    emit<K extends keyof E & string>(event: K, ...args: E[K]): boolean
  }
}

export = smoke
