using System.Runtime.InteropServices;
using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Features;

/// <summary>Ways to find out whether the kernel has something: all harmless, none leaves a trace. Null says that it is there.</summary>
internal static unsafe class Probes
{
    private static ReadOnlySpan<byte> ReturnZero => [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];

    private static ReadOnlySpan<byte> ReturnOne => [0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];

    /// <summary>Loads the shortest program of the kind, after a look for what tells more cheaply that it is missing.</summary>
    internal static Func<BpfToken?, string?> Program(ProgramKind kind) => token =>
    {
        if (kind.ProbePath is { } path && !Path.Exists(path))
        {
            return $"{path} does not exist";
        }

        if (kind.ProbeType is { } type && Btf(type, BtfKind.Struct)(token) is { } missing)
        {
            return missing;
        }

        // Loading these alone tells nothing: they need a map of their own type, or the function of another program.
        if (kind.Type is ProgramType.StructOps)
        {
            return null;
        }

        uint id = 0;
        if (kind.ProbeTarget is { } target)
        {
            if (BtfFile.Kernel is null)
            {
                return "the kernel has no BTF";
            }

            if (BtfTarget.Find(kind.Type, kind.Sections[0].Attach, target, out var name) is not { } found)
            {
                return $"the kernel has no {name}";
            }

            id = found.Id;
        }

        var code = kind.ProbeReturns == 0 ? ReturnZero : ReturnOne;
        var section = kind.Sections[0];
        return Load(kind.Type, section.Attach ?? 0, code, id, (uint)section.Flags, token);
    };

    /// <summary>Loads an XDP program with these instructions before its end.</summary>
    internal static Func<BpfToken?, string?> Code(params Instruction[] instructions) => token =>
    {
        var code = new byte[(instructions.Length + 2) * Instruction.Size];
        for (var i = 0; i < instructions.Length; i++)
        {
            instructions[i].Write(code.AsSpan(i * Instruction.Size));
        }

        ReturnZero.CopyTo(code.AsSpan(instructions.Length * Instruction.Size));
        return Load(ProgramType.Xdp, 0, code, 0, 0, token);
    };

    /// <summary>Creates the smallest map of the kind.</summary>
    internal static Func<BpfToken?, string?> Map(MapKindRow row) =>
        row.Smallest is { } smallest ? Map(smallest) : Btf("bpf_struct_ops_tcp_congestion_ops", BtfKind.Struct);

    /// <summary>Creates a map that is described.</summary>
    internal static Func<BpfToken?, string?> Map(Func<BpfMap> describe) => token =>
    {
        using var map = describe();
        try
        {
            KernelMapStorage.Create(map, token).Dispose();
            return null;
        }
        catch (BpfException e)
        {
            return Explain(-e.ErrorNumber, "the kernel does not create such a map");
        }
    };

    /// <summary>Reads an empty hash table by a batch call.</summary>
    internal static string? Batches(BpfToken? token)
    {
        var attributes = new MapCreateAttributes { Kind = MapKind.Hash, KeySize = 4, ValueSize = 4, MaxEntries = 1 };
        var status = Create(ref attributes, token, out var handle);
        using (handle)
        {
            if (status < 0)
            {
                return Explain(status, "the kernel does not create a hash table");
            }

            using var lease = handle.Borrow();
            var memory = stackalloc uint[4];
            var batch = new MapBatchAttributes { OutBatch = memory, Keys = memory + 1, Values = memory + 2, Count = 1, Map = lease.Descriptor };
            status = BpfSyscall.MapLookupBatch(ref batch);
            return status == -Errno.NoEntry ? null : Explain(status, "the kernel has no batch calls");
        }
    }

    /// <summary>Attaches to an interface that cannot exist: only a kernel with the link looks for it.</summary>
    internal static string? TcxLink(BpfToken? token)
    {
        var attributes = default(ProgLoadAttributes);
        var status = Load(ref attributes, ProgramType.SchedCls, 0, ReturnZero, 0, 0, token, out var handle);
        using (handle)
        {
            if (status < 0)
            {
                return Explain(status, "no TC program can be loaded");
            }

            using var lease = handle.Borrow();
            var link = new LinkCreateAttributes { Program = lease.Descriptor, Target = -1, AttachType = AttachType.TcxIngress };
            status = BpfSyscall.LinkCreate(ref link, out var made);
            made.Dispose();
            return status == -Errno.NoDevice ? null : "the kernel attaches TC programs by clsact only";
        }
    }

    /// <summary>Looks for a type, function or struct in the kernel's BTF.</summary>
    internal static Func<BpfToken?, string?> Btf(string name, BtfKind kind) => _ =>
        BtfFile.Kernel is not { } btf ? "the kernel has no BTF to tell" : btf.Find(name, kind) is null ? $"the kernel has no {name}" : null;

    /// <summary>Looks for a helper in the kernel's BTF.</summary>
    internal static Func<BpfToken?, string?> HelperCall(string name) => _ =>
        BtfFile.Kernel is not { } btf ? "the kernel has no BTF to tell"
        : btf.Enumerators("bpf_func_id").Any(value => value.Name == "BPF_FUNC_" + name) ? null : $"the kernel has no helper bpf_{name}";

    /// <summary>Looks for a file or directory the kernel shows.</summary>
    internal static Func<BpfToken?, string?> PathExists(string path) => _ => Path.Exists(path) ? null : $"{path} does not exist";

    /// <summary>Whether the JIT compiler is on.</summary>
    internal static string? Jit(BpfToken? token)
    {
        const string path = "/proc/sys/net/core/bpf_jit_enable";
        if (!File.Exists(path))
        {
            return $"{path} does not exist";
        }

        return File.ReadAllText(path).Trim() == "0" ? $"{path} is 0" : null;
    }

    private static string? Load(ProgramType type, AttachType attachType, ReadOnlySpan<byte> code, uint attachBtfId, uint flags, BpfToken? token)
    {
        var attributes = default(ProgLoadAttributes);
        var status = Load(ref attributes, type, attachType, code, attachBtfId, flags, token, out var handle);
        handle.Dispose();
        return Explain(status, "the kernel does not load such a program");
    }

    private static int Load(
        ref ProgLoadAttributes attributes, ProgramType type, AttachType attachType, ReadOnlySpan<byte> code, uint attachBtfId, uint flags,
        BpfToken? token, out KernelHandle handle)
    {
        using var lease = token is null ? default : token.Handle.Borrow();
        fixed (byte* instructions = code)
        fixed (byte* license = "GPL\0"u8)
        {
            attributes.Type = type;
            attributes.ExpectedAttachType = attachType;
            attributes.Instructions = instructions;
            attributes.InstructionCount = (uint)(code.Length / Instruction.Size);
            attributes.License = license;
            attributes.AttachBtfId = attachBtfId;
            attributes.Flags = flags | (token is null ? 0 : BpfToken.Flag);
            attributes.Token = token is null ? 0 : lease.Descriptor;
            return BpfSyscall.ProgLoad(ref attributes, out handle);
        }
    }

    private static int Create(ref MapCreateAttributes attributes, BpfToken? token, out KernelHandle handle)
    {
        using var lease = token is null ? default : token.Handle.Borrow();
        attributes.Flags |= token is null ? MapFlags.None : MapFlags.WithToken;
        attributes.Token = token is null ? 0 : lease.Descriptor;
        return BpfSyscall.MapCreate(ref attributes, out handle);
    }

    private static string? Explain(int status, string refusal) => -status switch
    {
        <= 0 => null,
        Errno.Permission or Errno.AccessDenied => $"not permitted here ({Errno.NameOf(status)})",
        Errno.Invalid => refusal,
        var other => $"{refusal} ({Errno.NameOf(other)}: {Marshal.GetPInvokeErrorMessage(other)})",
    };
}
