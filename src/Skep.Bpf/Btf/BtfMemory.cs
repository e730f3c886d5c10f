using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Btf;

/// <summary>
/// Bytes outside the managed heap: a file of sysfs mapped (kernel 6.16), any other read, because one that is cut while it is mapped would
/// end the process.
/// </summary>
internal sealed unsafe class BtfMemory : SafeHandle
{
    private readonly bool _mapped;

    private BtfMemory(void* address, nuint length, bool mapped)
        : base(0, ownsHandle: true)
    {
        (Length, _mapped) = (length, mapped);
        SetHandle((nint)address);
    }

    internal nuint Length { get; }

    internal byte* Address => (byte*)handle;

    public override bool IsInvalid => handle == 0;

    internal static BtfMemory Open(string path)
    {
        using var file = File.OpenHandle(path);
        var length = (nuint)RandomAccess.GetLength(file);
        if (path.StartsWith("/sys/", StringComparison.Ordinal))
        {
            var address = LibC.mmap(null, length, LibC.PROT_READ, LibC.MAP_PRIVATE, (int)file.DangerousGetHandle(), 0);
            if (address != LibC.MAP_FAILED)
            {
                return new BtfMemory(address, length, mapped: true);
            }
        }

        var memory = Allocate(length);
        nuint done = 0;
        while (done < length)
        {
            var read = RandomAccess.Read(file, new Span<byte>(memory.Address + done, (int)Math.Min(length - done, int.MaxValue)), (long)done);
            if (read == 0)
            {
                memory.Dispose();
                throw new EndOfStreamException($"{path} ended after {done} of {length} bytes.");
            }

            done += (nuint)read;
        }

        return memory;
    }

    internal static BtfMemory Copy(ReadOnlySpan<byte> bytes)
    {
        var memory = Allocate((nuint)bytes.Length);
        bytes.CopyTo(new Span<byte>(memory.Address, bytes.Length));
        return memory;
    }

    private static BtfMemory Allocate(nuint length) => new(NativeMemory.Alloc(Math.Max(length, 1)), length, mapped: false);

    protected override bool ReleaseHandle()
    {
        if (_mapped)
        {
            return LibC.munmap(Address, Length) == 0;
        }

        NativeMemory.Free(Address);
        return true;
    }
}
