//! Questions about a type as it is written.

use quote::ToTokens;
use syn::{
    AngleBracketedGenericArguments, GenericArgument, PathArguments, PathSegment, ReturnType, Type,
    TypeReference,
};

/// Gives the type without parentheses, including the invisible ones around a type that
/// comes from a `macro_rules!` macro.
pub(crate) fn peel(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            _ => return ty,
        }
    }
}

/// Gives the type itself, if it is a reference.
pub(crate) fn reference(ty: &Type) -> Option<&TypeReference> {
    match peel(ty) {
        Type::Reference(reference) => Some(reference),
        _ => None,
    }
}

/// Finds the first part of the type, from the outside and from the left, for which
/// `test` holds.
pub(crate) fn find<'a>(ty: &'a Type, test: &dyn Fn(&Type) -> bool) -> Option<&'a Type> {
    let ty = peel(ty);
    if test(ty) {
        return Some(ty);
    }
    match ty {
        Type::Array(array) => find(&array.elem, test),
        Type::Path(_) => last_segment(ty)
            .into_iter()
            .flat_map(types_of)
            .find_map(|inner| find(inner, test)),
        Type::Reference(reference) => find(&reference.elem, test),
        Type::Slice(slice) => find(&slice.elem, test),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(|inner| find(inner, test)),
        _ => None,
    }
}

/// Tells whether it is an `impl Trait`.
pub(crate) fn is_opaque(ty: &Type) -> bool {
    matches!(ty, Type::ImplTrait(_))
}

/// Tells whether it is a reference, or a type with a lifetime that is not `'static`.
pub(crate) fn borrows(ty: &Type) -> bool {
    match ty {
        Type::Reference(_) => true,
        Type::Path(_) => last_segment(ty).is_some_and(|segment| {
            generics(segment).any(|argument| {
                matches!(argument, GenericArgument::Lifetime(it) if it.ident != "static")
            })
        }),
        _ => false,
    }
}

/// Tells what to write instead of a borrowed type.
pub(crate) fn owned(ty: &Type) -> String {
    let Some(reference) = reference(ty) else {
        return format!("String` or another owned type, not `{}", written(ty));
    };
    unsized_owned(reference).unwrap_or_else(|| written(&reference.elem))
}

/// Tells what to write instead of a reference to a type that has no known size, which
/// cannot be a preloaded value.
pub(crate) fn unsized_owned(reference: &TypeReference) -> Option<String> {
    match peel(&reference.elem) {
        Type::Slice(slice) => Some(format!("Vec<{}>", written(&slice.elem))),
        Type::TraitObject(object) => Some(format!("Box<{}>", written(object))),
        ty => {
            let known = [
                ("str", "String"),
                ("Path", "PathBuf"),
                ("OsStr", "OsString"),
                ("CStr", "CString"),
            ];
            let name = &last_segment(ty)?.ident;
            let (_, owned) = known.iter().find(|(borrowed, _)| name == borrowed)?;
            Some((*owned).to_owned())
        }
    }
}

/// Tells whether it is a reference to a trait object.
pub(crate) fn is_object(ty: &Type) -> bool {
    reference(ty).is_some_and(|it| matches!(peel(&it.elem), Type::TraitObject(_)))
}

/// Gives the type as a person would write it.
fn written(ty: &impl ToTokens) -> String {
    let mut text = ty.to_token_stream().to_string();
    for (from, to) in [
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ::", "::"),
        (":: ", "::"),
        (" ,", ","),
    ] {
        text = text.replace(from, to);
    }
    text
}

/// Gives the last segment of a path: `Result<T, E>` of `std::io::Result<T, E>`.
fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match peel(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// Gives what is between the angle brackets of `Name<..>`.
fn generics(segment: &PathSegment) -> impl Iterator<Item = &GenericArgument> {
    let args = match &segment.arguments {
        PathArguments::AngleBracketed(AngleBracketedGenericArguments { args, .. }) => Some(args),
        _ => None,
    };
    args.into_iter().flatten()
}

fn types_of(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    generics(segment).filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// Tells whether it is `()`.
pub(crate) fn is_unit(ty: &Type) -> bool {
    matches!(peel(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// What a function returns.
pub(crate) enum Output<'a> {
    Nothing,
    Never,
    Value(&'a Type),
}

impl<'a> Output<'a> {
    pub(crate) fn of(output: &'a ReturnType) -> Self {
        let ReturnType::Type(_, ty) = output else {
            return Self::Nothing;
        };
        match peel(ty) {
            Type::Never(_) => Self::Never,
            inner if is_unit(inner) => Self::Nothing,
            _ => Self::Value(ty),
        }
    }
}

/// Tells whether the type says `Result`, under whatever path.
pub(crate) fn is_result(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == "Result")
}

/// Gives the first type between the angle brackets: `T` of `Result<T, E>`.
pub(crate) fn first_generic(ty: &Type) -> Option<&Type> {
    types_of(last_segment(ty)?).next()
}
