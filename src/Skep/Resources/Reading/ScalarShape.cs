using System.Text.Json.Nodes;

namespace Skep.Resources.Reading;

/// <summary>Reads one scalar: the value, or null.</summary>
internal delegate object? ScalarParser(string text);

/// <summary>A single value: text, number, address and so on.</summary>
/// <param name="id">Rule that a bad value breaks, for example <c>bad-port</c>.</param>
/// <param name="what">What it must be, for messages.</param>
/// <param name="advice">Example or range.</param>
/// <param name="parse">Reads it.</param>
/// <param name="schema">The same as JSON Schema.</param>
/// <param name="plainOnly">Whether it is a number or boolean, which in YAML has no quotes.</param>
internal sealed class ScalarShape(string id, string what, string advice, ScalarParser parse, Func<JsonObject> schema, bool plainOnly = false) : Shape
{
    public override object? Read(Node node, string path, ProblemList problems)
    {
        if (node.Kind != NodeKind.Scalar || node.IsNull)
        {
            problems.Error(node.Source, "wrong-type", $"{path} is {node.Describe()}", $"write {what}, {advice}");
            return null;
        }

        if (plainOnly && !node.Plain)
        {
            problems.Error(node.Source, "wrong-type", $"{path} is quoted", $"write {what} without quotes");
            return null;
        }

        var value = parse(node.Text);
        if (value is null)
        {
            problems.Error(node.Source, id, $"{path}: {node.Describe()} is not {what}", advice);
        }

        return value;
    }

    public override JsonObject Schema() => schema();
}

/// <summary>A shape whose item also takes a shorter form: a plain value instead of an object.</summary>
internal sealed class EitherShape(ScalarShape shortForm, ObjectShape longForm) : Shape
{
    public override object? Read(Node node, string path, ProblemList problems) =>
        node.Kind == NodeKind.Map ? longForm.Read(node, path, problems) : shortForm.Read(node, path, problems) is { } value ? new Located(value, node.Source) : null;

    public override JsonObject Schema() => new() { ["oneOf"] = new JsonArray(shortForm.Schema(), longForm.Schema()) };
}

/// <summary>A value with its place.</summary>
internal sealed record Located(object Value, ResourceSource Source);
