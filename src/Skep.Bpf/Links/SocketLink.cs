using System.Net.Sockets;
using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>A program that a socket holds: a socket filter, or the choice among sockets that share its port (sk_reuseport).</summary>
public sealed class SocketLink : Link
{
    private SocketLink(Attachment attachment)
        : base(attachment)
    {
    }

    /// <summary>Attaches a program to a socket of this process. The kernel has no link for it, so it cannot be pinned; it goes with the socket at the latest.</summary>
    /// <param name="program">A socket filter, or an sk_reuseport program for a socket with SO_REUSEPORT that is bound.</param>
    /// <param name="socket">The socket; it must stay open.</param>
    /// <exception cref="BpfException">EINVAL when the program is of another type, or the socket does not share its port.</exception>
    public static SocketLink Attach(LoadedProgram program, Socket socket)
    {
        ArgumentNullException.ThrowIfNull(program);
        ArgumentNullException.ThrowIfNull(socket);
        return new SocketLink(SocketAttachment.Attach(program, socket));
    }
}

/// <summary>A program attached by a socket option.</summary>
internal sealed unsafe class SocketAttachment : Attachment
{
    // include/uapi/asm-generic/socket.h
    private const int Level = 1, AttachFilter = 50, DetachFilter = 27, AttachReuseport = 52, DetachReuseport = 68;
    private readonly Socket _socket;
    private readonly bool _isFilter;
    private uint _programId;
    private bool _detached;

    private SocketAttachment(Socket socket, bool isFilter) => (_socket, _isFilter) = (socket, isFilter);

    internal override uint LinkId => 0;

    internal override uint ProgramId => _programId;

    internal override int InterfaceIndex => 0;

    internal static SocketAttachment Attach(LoadedProgram program, Socket socket)
    {
        var result = new SocketAttachment(socket, program.Type == ProgramType.SocketFilter);
        result.Update(program);
        return result;
    }

    internal override void Pin(string path) =>
        throw new NotSupportedException("A program on a socket lives with the socket and cannot be pinned; the kernel has no link for it.");

    internal override void Update(LoadedProgram program)
    {
        using var lease = program.Handle.Borrow();
        BpfException.ThrowIfFailed(
            SetOption(_isFilter ? AttachFilter : AttachReuseport, lease.Descriptor), $"Attaching program '{program.Name}' ({program.Type}) to a socket failed");
        _programId = program.Id;
    }

    internal override void Detach()
    {
        _detached = true;
        BpfException.ThrowIfFailed(SetOption(_isFilter ? DetachFilter : DetachReuseport, 0), "Detaching a program from a socket failed");
    }

    internal override void Close()
    {
        if (!_detached && !_socket.SafeHandle.IsClosed)
        {
            Detach();
        }
    }

    private int SetOption(int option, int value) =>
        LibC.setsockopt((int)_socket.Handle, Level, option, &value, sizeof(int)) < 0 ? -Marshal.GetLastPInvokeError() : 0;
}
