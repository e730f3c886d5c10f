using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Inspection;

/// <summary>What the kernel knows of a program.</summary>
public sealed record ProgramDetails
{
    private ProgramDetails(in ProgramInfo info)
    {
        Id = info.Id;
        Type = info.Type;
        Name = info.Name.ToString();
        Tag = Convert.ToHexStringLower(BitConverter.GetBytes(info.Tag));
        TranslatedBytes = info.TranslatedLength;
        JitedBytes = info.JitedLength;
        LoadTime = TimeSpan.FromTicks((long)(info.LoadTime / TimeSpan.NanosecondsPerTick));
        BtfId = info.BtfId;
        VerifiedInstructions = info.VerifiedInstructions;
        Runs = info.RunCount;
        RunNanoseconds = info.RunTimeNanoseconds;
        AttachBtfId = info.AttachBtfId;
    }

    /// <summary>Number in the kernel.</summary>
    public uint Id { get; }

    /// <summary>Type.</summary>
    public ProgramType Type { get; }

    /// <summary>Name, at most 15 characters, as its maker chose it: text from outside.</summary>
    public string Name { get; }

    /// <summary>Hash of the code, 16 hexadecimal digits.</summary>
    public string Tag { get; }

    /// <summary>Bytes of code after the verifier rewrote it.</summary>
    public uint TranslatedBytes { get; }

    /// <summary>Bytes of machine code; 0 when the JIT is off.</summary>
    public uint JitedBytes { get; }

    /// <summary>When it was loaded, since the machine started.</summary>
    public TimeSpan LoadTime { get; }

    /// <summary>Number of its BTF, 0 when it has none.</summary>
    public uint BtfId { get; }

    /// <summary>Instructions the verifier walked; 0 before kernel 5.16.</summary>
    public uint VerifiedInstructions { get; }

    /// <summary>Runs counted; 0 unless statistics are or were on.</summary>
    public ulong Runs { get; }

    /// <summary>Nanoseconds spent in them.</summary>
    public ulong RunNanoseconds { get; }

    /// <summary>Type in the kernel's BTF that it attaches to, or 0.</summary>
    public uint AttachBtfId { get; }

    /// <summary>User who loaded it.</summary>
    public uint UserId { get; private init; }

    /// <summary>Whether it says that its licence is compatible with the GPL.</summary>
    public bool IsGplCompatible { get; private init; }

    /// <summary>Numbers of the maps it uses.</summary>
    public IReadOnlyList<uint> MapIds { get; private init; } = [];

    /// <summary>Bytes of memory, as accounted; 0 when not told.</summary>
    public ulong Memory { get; private init; }

    /// <summary>Looks at a program.</summary>
    /// <exception cref="BpfException">ENOENT when it is gone, EPERM without CAP_SYS_ADMIN.</exception>
    public static unsafe ProgramDetails Read(uint id)
    {
        using var handle = KernelObjects.Open(BpfObjectKind.Program, id);
        var info = default(ProgramInfo);
        BpfException.ThrowIfFailed(BpfSyscall.ObjGetInfo(handle, ref info), $"Reading what the kernel knows of program {id} failed");
        var maps = new uint[info.MapCount];
        var more = default(ProgramInfoBuffers);
        fixed (uint* ids = maps)
        {
            more.MapIds = ids;
            more.MapCount = (uint)maps.Length;
            BpfException.ThrowIfFailed(BpfSyscall.ObjGetInfo(handle, ref more), $"Reading the maps of program {id} failed");
        }

        return new ProgramDetails(in info)
        {
            UserId = more.UserId,
            IsGplCompatible = (more.GplCompatible & 1) != 0,
            MapIds = maps,
            Memory = KernelObjects.FromProc(handle, "memlock") ?? 0,
        };
    }
}

/// <summary><c>struct bpf_prog_info</c> as in <see cref="ProgramInfo"/>, for the fields that take room of the caller.</summary>
[StructLayout(LayoutKind.Explicit, Size = 232)]
internal unsafe struct ProgramInfoBuffers
{
    [FieldOffset(16)] internal uint JitedLength;
    [FieldOffset(20)] internal uint TranslatedLength;
    [FieldOffset(24)] internal byte* Jited;
    [FieldOffset(32)] internal byte* Translated;
    [FieldOffset(48)] internal uint UserId;
    [FieldOffset(52)] internal uint MapCount;
    [FieldOffset(56)] internal uint* MapIds;
    [FieldOffset(84)] internal uint GplCompatible;
    [FieldOffset(104)] internal uint JitedSymbolCount;
    [FieldOffset(108)] internal uint JitedFunctionCount;
    [FieldOffset(112)] internal ulong* JitedSymbols;
    [FieldOffset(120)] internal uint* JitedFunctionLengths;
    [FieldOffset(128)] internal uint BtfId;
    [FieldOffset(132)] internal uint FunctionRecordSize;
    [FieldOffset(136)] internal byte* Functions;
    [FieldOffset(144)] internal uint FunctionCount;
    [FieldOffset(148)] internal uint LineCount;
    [FieldOffset(152)] internal byte* Lines;
    [FieldOffset(160)] internal ulong* JitedLines;
    [FieldOffset(168)] internal uint JitedLineCount;
    [FieldOffset(172)] internal uint LineRecordSize;
    [FieldOffset(176)] internal uint JitedLineRecordSize;
}
