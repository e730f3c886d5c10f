using System.Runtime.InteropServices;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Maps;

/// <summary>Which queue of the target socket takes redirected data.</summary>
public enum SocketQueue : ulong
{
    /// <summary>It is sent: the target's peer gets it.</summary>
    Egress = 0,
    /// <summary>It is received: the target's process gets it (<c>BPF_F_INGRESS</c>).</summary>
    Ingress = 1,
}

/// <summary>
/// Sockets, for redirection between them and for programs that choose one. TCP sockets are added when established or listening, UDP and Unix
/// ones since kernel 5.7 and 5.15; a closed socket leaves by itself. The programs of the map work on sockets that are put in after they
/// were attached.
/// </summary>
/// <typeparam name="TKey">Key struct.</typeparam>
public abstract unsafe class SocketMap<TKey> : BpfMap
    where TKey : unmanaged
{
    private protected SocketMap(MapKind kind, uint maxEntries, string? name)
        : base(kind, SizeOf<TKey>(), sizeof(ulong), maxEntries, MapFlags.None, name)
    {
    }

    /// <inheritdoc/>
    public sealed override Type KeyType => typeof(TKey);

    /// <summary>Descriptors when written, cookies when read.</summary>
    public sealed override Type ValueType => typeof(ulong);

    /// <summary>Program side: the socket, or null; it is held until <see cref="Release"/> (kernel 5.10).</summary>
    [KernelHelper(1)]
    public SocketContext* Find(in TKey key) => throw KernelEnvironment.NotInTwin("a map of sockets");

    /// <summary>Program side: lets go of a socket that <see cref="Find"/> or a context gave; the kernel takes no program that forgets it.</summary>
    /// <returns>0.</returns>
    [KernelHelper(86)]
    public static int Release(SocketContext* socket) => 0;

    /// <summary>User side: puts in a socket.</summary>
    /// <exception cref="BpfException">EBADF: no socket; EOPNOTSUPP: a socket in a state or of a protocol the kernel does not take; EBUSY: it is the key's already.</exception>
    public void Set(in TKey key, SafeHandle socket, UpdateMode mode = UpdateMode.Any)
    {
        ArgumentNullException.ThrowIfNull(socket);
        var added = false;
        socket.DangerousAddRef(ref added);
        try
        {
            var descriptor = (ulong)socket.DangerousGetHandle();
            var status = Storage.Write(Bytes(in key), MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in descriptor)), (ulong)mode);
            if (status < 0)
            {
                throw BpfException.ForMap(this, "update", status);
            }
        }
        finally
        {
            socket.DangerousRelease();
        }
    }

    /// <summary>User side: the cookie of the socket (<c>SO_COOKIE</c>) under the key; false when there is none.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool TryGetCookie(in TKey key, out ulong cookie)
    {
        cookie = 0;
        var status = Storage.Read(Bytes(in key), MemoryMarshal.AsBytes(new Span<ulong>(ref cookie)));
        return status switch
        {
            0 => true,
            -Errno.NoEntry => false,
            _ => throw BpfException.ForMap(this, "lookup", status),
        };
    }

    /// <summary>User side: takes the socket out; false when there was none. The connection stays.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool Remove(in TKey key)
    {
        var status = Storage.Remove(Bytes(in key));
        return status switch
        {
            0 => true,

            // A socket map says EINVAL for an empty place.
            -Errno.NoEntry or -Errno.Invalid => false,
            _ => throw BpfException.ForMap(this, "delete", status),
        };
    }

    private protected static ReadOnlySpan<byte> Bytes(in TKey key) => MemoryMarshal.AsBytes(new ReadOnlySpan<TKey>(in key));
}

/// <summary>Sockets by index (<c>BPF_MAP_TYPE_SOCKMAP</c>, kernel 4.14).</summary>
public sealed class SockMap(uint maxEntries, string? name = null) : SocketMap<uint>(MapKind.SockMap, maxEntries, name)
{
    /// <summary>Program side: the message goes to the socket under the key (<c>bpf_msg_redirect_map</c>, 4.17).</summary>
    /// <returns>The verdict to return: <see cref="SkVerdict.Drop"/> when there is no such socket.</returns>
    public SkVerdict Redirect(ref SkMsgContext message, uint key, SocketQueue queue) => (SkVerdict)RedirectMessage(ref message, this, key, (ulong)queue);

    /// <summary>Program side: the received data goes to the socket under the key (<c>bpf_sk_redirect_map</c>).</summary>
    /// <returns>The verdict to return: <see cref="SkVerdict.Drop"/> when there is no such socket.</returns>
    public SkVerdict Redirect(ref SkbContext data, uint key, SocketQueue queue) => (SkVerdict)RedirectData(ref data, this, key, (ulong)queue);

    /// <summary>Program side: puts in the socket of the event (<c>bpf_sock_map_update</c>). 0 or a negative errno.</summary>
    public int Add(ref SockOpsContext connection, in uint key, UpdateMode mode) => AddConnection(ref connection, this, in key, (ulong)mode);

    [KernelHelper(60, Since = "4.17")]
    private static int RedirectMessage(ref SkMsgContext message, SockMap map, uint key, ulong flags) => throw KernelEnvironment.NotInTwin("bpf_msg_redirect_map");

    [KernelHelper(52, Since = "4.14")]
    [OnlyFor(ProgramType.SkSkb)]
    private static int RedirectData(ref SkbContext data, SockMap map, uint key, ulong flags) => throw KernelEnvironment.NotInTwin("bpf_sk_redirect_map");

    [KernelHelper(53, Since = "4.14")]
    private static int AddConnection(ref SockOpsContext connection, SockMap map, in uint key, ulong flags) => throw KernelEnvironment.NotInTwin("bpf_sock_map_update");
}

/// <summary>Sockets by key (<c>BPF_MAP_TYPE_SOCKHASH</c>, kernel 4.18).</summary>
public sealed class SockHash<TKey>(uint maxEntries, string? name = null) : SocketMap<TKey>(MapKind.SockHash, maxEntries, name)
    where TKey : unmanaged
{
    /// <summary>Program side: the message goes to the socket under the key (<c>bpf_msg_redirect_hash</c>).</summary>
    /// <returns>The verdict to return: <see cref="SkVerdict.Drop"/> when there is no such socket.</returns>
    public SkVerdict Redirect(ref SkMsgContext message, in TKey key, SocketQueue queue) => (SkVerdict)RedirectMessage(ref message, this, in key, (ulong)queue);

    /// <summary>Program side: the received data goes to the socket under the key (<c>bpf_sk_redirect_hash</c>).</summary>
    /// <returns>The verdict to return: <see cref="SkVerdict.Drop"/> when there is no such socket.</returns>
    public SkVerdict Redirect(ref SkbContext data, in TKey key, SocketQueue queue) => (SkVerdict)RedirectData(ref data, this, in key, (ulong)queue);

    /// <summary>Program side: puts in the socket of the event (<c>bpf_sock_hash_update</c>). 0 or a negative errno.</summary>
    public int Add(ref SockOpsContext connection, in TKey key, UpdateMode mode) => AddConnection(ref connection, this, in key, (ulong)mode);

    [KernelHelper(71, Since = "4.18")]
    private static int RedirectMessage(ref SkMsgContext message, SockHash<TKey> map, in TKey key, ulong flags) => throw KernelEnvironment.NotInTwin("bpf_msg_redirect_hash");

    [KernelHelper(72, Since = "4.18")]
    [OnlyFor(ProgramType.SkSkb)]
    private static int RedirectData(ref SkbContext data, SockHash<TKey> map, in TKey key, ulong flags) => throw KernelEnvironment.NotInTwin("bpf_sk_redirect_hash");

    [KernelHelper(70, Since = "4.18")]
    private static int AddConnection(ref SockOpsContext connection, SockHash<TKey> map, in TKey key, ulong flags) => throw KernelEnvironment.NotInTwin("bpf_sock_hash_update");
}

/// <summary>Sockets of one reuseport group among which a program chooses (<c>BPF_MAP_TYPE_REUSEPORT_SOCKARRAY</c>, kernel 4.19).</summary>
public sealed class ReuseportSockArray(uint maxEntries, string? name = null) : SocketMap<uint>(MapKind.ReuseportSockArray, maxEntries, name)
{
    /// <summary>Program side: the socket under the key takes the packet (<c>bpf_sk_select_reuseport</c>). 0, or a negative errno: -ENOENT when there is none.</summary>
    public int Select(ref SkReuseportContext packet, in uint key) => SelectSocket(ref packet, this, in key, 0);

    [KernelHelper(82, Since = "4.19")]
    private static int SelectSocket(ref SkReuseportContext packet, ReuseportSockArray map, in uint key, ulong flags) => throw KernelEnvironment.NotInTwin("bpf_sk_select_reuseport");
}
