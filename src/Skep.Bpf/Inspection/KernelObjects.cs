using System.Globalization;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Inspection;

/// <summary>Kinds of BPF objects that have numbers.</summary>
public enum BpfObjectKind
{
    /// <summary>A program.</summary>
    Program,
    /// <summary>A map.</summary>
    Map,
    /// <summary>A link: an attachment of a program.</summary>
    Link,
    /// <summary>Type information.</summary>
    Btf,
}

/// <summary>The BPF objects that live in the kernel now (CAP_SYS_ADMIN).</summary>
public static class KernelObjects
{
    /// <summary>Numbers of all objects of the kind, in ascending order. Any of them may be gone when it is looked at.</summary>
    /// <exception cref="BpfException">EPERM without CAP_SYS_ADMIN.</exception>
    public static IEnumerable<uint> Ids(BpfObjectKind kind)
    {
        var command = kind switch
        {
            BpfObjectKind.Program => BpfCommand.ProgGetNextId,
            BpfObjectKind.Map => BpfCommand.MapGetNextId,
            BpfObjectKind.Link => BpfCommand.LinkGetNextId,
            _ => BpfCommand.BtfGetNextId,
        };
        var id = 0u;
        while (true)
        {
            var status = BpfSyscall.NextId(command, id, out id);
            if (status == -Errno.NoEntry)
            {
                yield break;
            }

            BpfException.ThrowIfFailed(status, $"Listing the {NameOf(kind)}s of the kernel failed; root is needed");
            yield return id;
        }
    }

    /// <summary>The word for an object of the kind.</summary>
    public static string NameOf(BpfObjectKind kind) => kind switch
    {
        BpfObjectKind.Program => "program",
        BpfObjectKind.Map => "map",
        BpfObjectKind.Link => "link",
        _ => "BTF object",
    };

    internal static KernelHandle Open(BpfObjectKind kind, uint id)
    {
        var command = kind switch
        {
            BpfObjectKind.Program => BpfCommand.ProgGetFdById,
            BpfObjectKind.Map => BpfCommand.MapGetFdById,
            BpfObjectKind.Link => BpfCommand.LinkGetFdById,
            _ => BpfCommand.BtfGetFdById,
        };
        var status = BpfSyscall.GetById(command, id, out var handle);
        BpfException.ThrowIfFailed(status, string.Create(CultureInfo.InvariantCulture, $"Opening {NameOf(kind)} {id} failed"));
        return handle;
    }

    /// <summary>A value of what /proc says of the descriptor, such as <c>memlock</c>; null when it does not say.</summary>
    internal static ulong? FromProc(KernelHandle handle, string name)
    {
        using var lease = handle.Borrow();
        foreach (var line in File.ReadLines(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fdinfo/{lease.Descriptor}")))
        {
            if (line.StartsWith(name, StringComparison.Ordinal) && line.Length > name.Length && line[name.Length] == ':'
                && ulong.TryParse(line.AsSpan(name.Length + 1).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var value))
            {
                return value;
            }
        }

        return null;
    }
}
