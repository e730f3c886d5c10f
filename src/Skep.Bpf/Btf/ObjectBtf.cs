using System.Text;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Btf;

/// <summary>
/// The types of an object as the kernel is to see them, loaded when first needed and shared by the object's maps and programs. What an older
/// kernel does not know is replaced by something of the same size (<see cref="BtfDowngrade"/>).
/// </summary>
internal sealed class ObjectBtf(byte[] bytes) : IDisposable
{
    private const int LogSize = 1 << 16;

    private readonly Lock _lock = new();
    private KernelHandle? _handle;

    /// <summary>Why the kernel does not take the types, or null; maps and programs then go without.</summary>
    internal string? Problem { get; private set; }

    internal ReadOnlySpan<byte> Bytes => bytes;

    /// <summary>The types in the kernel, or null when it does not take them. Valid until this is disposed of.</summary>
    internal KernelHandle? Open(BpfToken? token = null)
    {
        lock (_lock)
        {
            return _handle ??= Problem is null ? Load(token) : null;
        }
    }

    /// <summary>Closes the descriptor: what was loaded with the types holds on to them, and they are loaded anew when asked for.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _handle?.Dispose();
            _handle = null;
        }
    }

    private KernelHandle? Load(BpfToken? token)
    {
        if (BpfSyscall.BtfLoad(bytes, default, out var handle, token) is var status && status >= 0)
        {
            return handle;
        }

        handle.Dispose();
        if (status == -Errno.Invalid && BtfDowngrade.Missing() is var missing && missing != BtfFeatures.None
            && BpfSyscall.BtfLoad(BtfDowngrade.Apply(bytes, missing), default, out handle, token) >= 0)
        {
            return handle;
        }

        handle.Dispose();
        var log = new byte[LogSize];
        status = BpfSyscall.BtfLoad(bytes, log, out handle, token);
        handle.Dispose();
        var text = Encoding.UTF8.GetString(log).TrimEnd('\0').TrimEnd();
        Problem = $"{Errno.NameOf(status)}: {text[(text.LastIndexOf('\n') + 1)..]}";
        return null;
    }
}
