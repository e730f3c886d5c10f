using Skep.Bpf.Btf;

namespace Skep.Bpf.Programs;

/// <summary>Writes the types of a program's functions. The main one is <c>int name(struct context *)</c>, with the context struct the kernel knows by its name.</summary>
internal sealed class FunctionBtf
{
    private readonly BtfBuilder _builder;
    private readonly uint _int;
    private readonly uint _context;
    private readonly Dictionary<(int Size, bool Signed), uint> _numbers = [];
    private readonly Dictionary<(string Name, int Size), uint> _memory = [];

    internal FunctionBtf(BtfBuilder builder, ProgramType type)
    {
        _builder = builder;
        _int = Number(4, signed: true);
        _context = builder.AddPointer(ContextStruct(type));
    }

    /// <summary>Adds a function and returns its number.</summary>
    internal uint Add(FunctionEntry entry)
    {
        var prototype = entry.Parameters is { } parameters
            ? _builder.AddPrototype(TypeOf(entry.Result), [.. parameters.Select(p => (Identifier(p.Name), TypeOf(p)))])
            : _builder.AddPrototype(_int, ("context", _context));
        return _builder.AddFunction(Identifier(entry.Name), prototype, entry.IsGlobal);
    }

    private uint TypeOf(FunctionParameter parameter) => parameter.Kind switch
    {
        FunctionParameterKind.Number => Number(parameter.Size, parameter.IsSigned),
        FunctionParameterKind.Context => _context,
        _ => Pointer(parameter),
    };

    private uint Number(int size, bool signed)
    {
        if (!_numbers.TryGetValue((size, signed), out var id))
        {
            var name = (size, signed) switch
            {
                (1, _) => signed ? "signed char" : "unsigned char",
                (2, _) => signed ? "short" : "unsigned short",
                (4, _) => signed ? "int" : "unsigned int",
                _ => signed ? "long long" : "unsigned long long",
            };
            _numbers.Add((size, signed), id = _builder.AddInt(name, size, signed));
        }

        return id;
    }

    /// <summary>Of a struct the size is all that the verifier needs; void is type 0.</summary>
    private uint Pointer(FunctionParameter parameter)
    {
        var key = (parameter.TypeName, parameter.Size);
        if (!_memory.TryGetValue(key, out var id))
        {
            var target = parameter.Size == 0 ? 0
                : parameter.Size is 1 or 2 or 4 or 8 ? Number(parameter.Size, signed: false)
                : _builder.AddStruct(Identifier(parameter.TypeName), parameter.Size);
            _memory.Add(key, id = _builder.AddPointer(target));
        }

        return id;
    }

    private uint ContextStruct(ProgramType type) => type switch
    {
        ProgramType.Xdp => _builder.AddStruct("xdp_md", 0),
        ProgramType.SchedCls or ProgramType.SchedAct or ProgramType.CgroupSkb or ProgramType.SocketFilter or ProgramType.SkSkb =>
            _builder.AddStruct("__sk_buff", 0),
        ProgramType.SockOps => _builder.AddStruct("bpf_sock_ops", 0),
        ProgramType.CgroupSockAddr => _builder.AddStruct("bpf_sock_addr", 0),
        ProgramType.CgroupSock => _builder.AddStruct("bpf_sock", 0),
        _ => Number(8, signed: false),
    };

    private static string Identifier(string name)
    {
        var characters = name.Select(c => char.IsAsciiLetterOrDigit(c) ? c : '_').ToArray();
        return characters.Length == 0 ? "main" : char.IsAsciiDigit(characters[0]) ? "_" + new string(characters) : new string(characters);
    }
}
