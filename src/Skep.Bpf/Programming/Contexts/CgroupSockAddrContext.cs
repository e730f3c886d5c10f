namespace Skep.Bpf.Programming;

/// <summary>
/// The address a process gives or asks for (<c>struct bpf_sock_addr</c>, net/core/filter.c <c>sock_addr_is_valid_access</c>).
/// In the kernel this is the context pointer; in the process its fields are plain memory.
/// </summary>
[KernelContext("bpf_sock_addr")]
public unsafe struct CgroupSockAddrContext
{
    private FourWords _userIp6;
    private FourWords _messageSourceIp6;

    /// <summary>Address family of the call, for example 2 for IPv4.</summary>
    public uint UserFamily { [ContextField(0, 4)] get; init; }

    /// <summary>IPv4 address of the call, network byte order.</summary>
    public uint UserIp4 { [ContextField(4, 4)] get; [ContextField(4, 4)] set; }

    /// <summary>IPv6 address of the call, network byte order. Word <paramref name="index"/> of four; the index is a constant.</summary>
    [ContextField(8, 4)]
    public readonly uint UserIp6(uint index) => _userIp6[(int)index];

    /// <summary>Sets a word of <see cref="UserIp6"/>.</summary>
    [ContextField(8, 4)]
    public void SetUserIp6(uint index, uint value) => _userIp6[(int)index] = value;

    /// <summary>Port of the call, network byte order in the lower 16 bits.</summary>
    public uint UserPort { [ContextField(24, 4)] get; [ContextField(24, 4)] set; }

    /// <summary>Address family of the socket.</summary>
    public uint Family { [ContextField(28, 4)] get; init; }

    /// <summary>Type of the socket: 1 stream, 2 datagram.</summary>
    public uint Type { [ContextField(32, 4)] get; init; }

    /// <summary>Protocol of the socket: 6 TCP, 17 UDP.</summary>
    public uint Protocol { [ContextField(36, 4)] get; init; }

    /// <summary>sendmsg4 only: IPv4 source address, network byte order.</summary>
    public uint MessageSourceIp4 { [ContextField(40, 4)] get; [ContextField(40, 4)] set; }

    /// <summary>sendmsg6 only: IPv6 source address, network byte order. Word <paramref name="index"/> of four; the index is a constant.</summary>
    [ContextField(44, 4)]
    public readonly uint MessageSourceIp6(uint index) => _messageSourceIp6[(int)index];

    /// <summary>Sets a word of <see cref="MessageSourceIp6"/>.</summary>
    [ContextField(44, 4)]
    public void SetMessageSourceIp6(uint index, uint value) => _messageSourceIp6[(int)index] = value;

    /// <summary>The socket; never null here.</summary>
    public SocketContext* Socket { [ContextField(64, 8)] get; init; }

    /// <summary>Binds the socket to a source address before it connects (<c>bpf_bind</c>); connect hooks only, and the port must be 0.</summary>
    /// <param name="address">A <c>sockaddr_in</c> or <c>sockaddr_in6</c>.</param>
    /// <param name="length">Its size.</param>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(64)]
    public readonly int Bind(void* address, int length) => throw KernelEnvironment.NotInTwin("bpf_bind");

    /// <summary>Cookie of the socket (<c>bpf_get_socket_cookie</c>).</summary>
    [KernelHelper(46)]
    public readonly ulong GetSocketCookie() => (ulong)Socket;

    /// <summary>Cookie of the socket's network namespace (<c>bpf_get_netns_cookie</c>, kernel 5.7).</summary>
    [KernelHelper(122, Since = "5.7")]
    public readonly ulong GetNetnsCookie() => 0;

    /// <summary>
    /// Says with which error the call fails when the program refuses it, in place of EPERM (<c>bpf_set_retval</c>, kernel 5.18; not for recvmsg and names).
    /// </summary>
    /// <param name="value">A negative errno.</param>
    /// <returns>0.</returns>
    [KernelHelper(187, Since = "5.18")]
    public static int SetReturnValue(int value)
    {
        KernelEnvironment.Current.ReturnValue = value;
        return 0;
    }

    /// <summary>Sets an option of the socket (<c>bpf_setsockopt</c>; sock_addr hooks kernel 5.8).</summary>
    /// <param name="level">Level, for example 6 for TCP.</param>
    /// <param name="option">Number of the option.</param>
    /// <param name="value">The value.</param>
    /// <param name="length">Bytes of the value.</param>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(49)]
    public readonly int SetSocketOption(int level, int option, void* value, int length) => throw KernelEnvironment.NotInTwin("bpf_setsockopt");

    /// <summary>Reads an option of the socket (<c>bpf_getsockopt</c>; sock_addr hooks kernel 5.8).</summary>
    /// <param name="level">Level, for example 6 for TCP.</param>
    /// <param name="option">Number of the option.</param>
    /// <param name="value">Where to write.</param>
    /// <param name="length">Bytes there.</param>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(57)]
    public readonly int GetSocketOption(int level, int option, void* value, int length) => throw KernelEnvironment.NotInTwin("bpf_getsockopt");
}
